//! A frame's luma, and which of its pixels are dark.

use std::borrow::Cow;

use super::budget::{ReadBudget, ReadStopped};

/// Dark is what lies this far under the mean of its surroundings: their noise alone is not.
const UNDER_MEAN: f32 = 0.96;

/// A place in a picture, in pixels; a pixel's centre lies at its integer coordinates.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Point {
    pub(super) x: f32,
    pub(super) y: f32,
}

impl Point {
    pub(super) fn minus(self, other: Self) -> Self {
        Self { x: self.x - other.x, y: self.y - other.y }
    }

    /// `scale` times `direction` away.
    pub(super) fn towards(self, direction: Self, scale: f32) -> Self {
        Self { x: self.x + scale * direction.x, y: self.y + scale * direction.y }
    }

    pub(super) fn length(self) -> f32 {
        self.x.hypot(self.y)
    }
}

/// A picture with 8 bits a pixel.
pub(super) struct Picture {
    pub(super) width: usize,
    pub(super) height: usize,
    luma: Vec<u8>,
    dark: Vec<bool>,
}

impl Picture {
    /// From rows of luma; of more than `max_pixels`, each pixel is the mean of as many as it takes.
    pub(super) fn new<'a>(
        (width, height): (usize, usize),
        rows: impl Iterator<Item = Cow<'a, [u8]>>,
        max_pixels: usize,
        budget: &mut ReadBudget,
    ) -> Result<Self, ReadStopped> {
        let fits = |&factor: &usize| (width / factor) * (height / factor) <= max_pixels;
        let factor = (1..=width.max(height)).find(fits).unwrap_or(1);
        let (width, height) = (width / factor, height / factor);
        let mut luma = Vec::with_capacity(width * height);
        let mut sums = vec![0_u32; width];
        for (y, row) in rows.take(height * factor).enumerate() {
            budget.spend(row.len())?;
            if factor == 1 {
                luma.extend_from_slice(&row);
                continue;
            }
            for (sum, pixels) in sums.iter_mut().zip(row.chunks_exact(factor)) {
                *sum += pixels.iter().copied().map(u32::from).sum::<u32>();
            }
            if (y + 1).is_multiple_of(factor) {
                luma.extend(sums.iter_mut().map(|sum| (std::mem::take(sum) / (factor * factor) as u32) as u8));
            }
        }
        Ok(Self { width, height, luma, dark: Vec::new() })
    }

    pub(super) fn pixels(&self) -> usize {
        self.width * self.height
    }

    pub(super) fn longer_side(&self) -> usize {
        self.width.max(self.height)
    }

    /// Each pixel the mean of its neighbourhood, weighted 1, 2, 1 each way: less noise.
    pub(super) fn smoothed(&self, budget: &mut ReadBudget) -> Result<Self, ReadStopped> {
        let (width, height) = (self.width, self.height);
        let mut luma = Vec::with_capacity(width * height);
        let mut sums = vec![0_u16; width];
        for y in 0..height {
            budget.spend(2 * width)?;
            let row = |y: usize| &self.luma[y * width..][..width];
            let (upper, lower) = (row(y.saturating_sub(1)), row((y + 1).min(height - 1)));
            for (sum, ((&a, &b), &c)) in sums.iter_mut().zip(upper.iter().zip(row(y)).zip(lower)) {
                *sum = u16::from(a) + 2 * u16::from(b) + u16::from(c);
            }
            let sum = |left: u16, middle: u16, right: u16| ((left + 2 * middle + right + 8) / 16) as u8;
            luma.push(sum(sums[0], sums[0], sums[1.min(width - 1)]));
            luma.extend(sums.windows(3).map(|three| sum(three[0], three[1], three[2])));
            if let [.., before, last] = sums[..] {
                luma.push(sum(before, last, last));
            }
        }
        Ok(Self { width, height, luma, dark: Vec::new() })
    }

    /// The same with twice as many pixels a side, for modules of hardly two pixels.
    pub(super) fn doubled(&self, budget: &mut ReadBudget) -> Result<Self, ReadStopped> {
        let (width, height) = (2 * self.width, 2 * self.height);
        let mut luma = Vec::with_capacity(width * height);
        for y in 0..height {
            budget.spend(width)?;
            luma.extend(
                (0..width)
                    .map(|x| self.luma_at(Point { x: x as f32 / 2.0 - 0.25, y: y as f32 / 2.0 - 0.25 }).round() as u8),
            );
        }
        Ok(Self { width, height, luma, dark: Vec::new() })
    }

    /// Compares each pixel with the mean of the square of `2 × reach + 1` pixels around it, by running sums.
    pub(super) fn binarise(&mut self, reach: usize, budget: &mut ReadBudget) -> Result<(), ReadStopped> {
        let (width, height) = (self.width, self.height);
        let mut columns = vec![0_u32; width];
        self.dark.clear();
        self.dark.reserve_exact(width * height);
        let row = |y: usize| &self.luma[y * width..][..width];
        for y in 0..reach.min(height) {
            budget.spend(width)?;
            columns.iter_mut().zip(row(y)).for_each(|(sum, &value)| *sum += u32::from(value));
        }
        for y in 0..height {
            budget.spend(2 * width)?;
            if y + reach < height {
                columns.iter_mut().zip(row(y + reach)).for_each(|(sum, &value)| *sum += u32::from(value));
            }
            if y > reach {
                columns.iter_mut().zip(row(y - reach - 1)).for_each(|(sum, &value)| *sum -= u32::from(value));
            }
            let rows = (y + reach).min(height - 1) + 1 - y.saturating_sub(reach);
            let mut sum: u32 = columns.iter().take(reach).sum();
            for (x, &value) in row(y).iter().enumerate() {
                sum += columns.get(x + reach).copied().unwrap_or(0);
                if x > reach {
                    sum -= columns[x - reach - 1];
                }
                let pixels = rows * ((x + reach).min(width - 1) + 1 - x.saturating_sub(reach));
                self.dark.push(f32::from(value) * (pixels as f32) < UNDER_MEAN * sum as f32);
            }
        }
        Ok(())
    }

    pub(super) fn dark_row(&self, y: usize) -> &[bool] {
        &self.dark[y * self.width..][..self.width]
    }

    /// Whether the nearest pixel is dark; none is beyond the border.
    pub(super) fn is_dark(&self, at: Point) -> bool {
        // Compared before they are cut off at the point: that is faster than rounding.
        let (x, y) = (at.x + 0.5, at.y + 0.5);
        let inside = x >= 0.0 && y >= 0.0 && x < self.width as f32 && y < self.height as f32;
        inside && self.dark[y as usize * self.width + x as usize]
    }

    /// Bilinear; the border's value beyond the border.
    pub(super) fn luma_at(&self, at: Point) -> f32 {
        let (x, y) = (at.x.clamp(0.0, (self.width - 1) as f32), at.y.clamp(0.0, (self.height - 1) as f32));
        let (left, top) = (x as usize, y as usize);
        let (right, bottom) = ((left + 1).min(self.width - 1), (top + 1).min(self.height - 1));
        let (along, down) = (x - left as f32, y - top as f32);
        let value = |x: usize, y: usize| f32::from(self.luma[y * self.width + x]);
        let upper = value(left, top) + along * (value(right, top) - value(left, top));
        let lower = value(left, bottom) + along * (value(right, bottom) - value(left, bottom));
        upper + down * (lower - upper)
    }
}
