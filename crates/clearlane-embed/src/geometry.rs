//! Points, boxes and similarity transforms in pixel coordinates: x to the right, y down, pixel centres at integers.

use serde::{Deserialize, Serialize};

/// A point in pixels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Point {
    /// To the right.
    pub x: f32,
    /// Down.
    pub y: f32,
}

impl Point {
    /// The point (x, y).
    #[must_use]
    pub const fn new(x: f32, y: f32) -> Self {
        Self { x, y }
    }

    /// The Euclidean distance to another point, in pixels.
    #[must_use]
    pub fn distance(self, other: Self) -> f32 {
        (self.x - other.x).hypot(self.y - other.y)
    }

    /// The point half-way to another.
    #[must_use]
    pub fn middle(self, other: Self) -> Self {
        Self::new(f32::midpoint(self.x, other.x), f32::midpoint(self.y, other.y))
    }
}

/// An upright rectangle in pixels. It may reach beyond the frame.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BoundingBox {
    /// The left edge.
    pub x0: f32,
    /// The upper edge.
    pub y0: f32,
    /// The right edge.
    pub x1: f32,
    /// The lower edge.
    pub y1: f32,
}

impl BoundingBox {
    /// Width in pixels.
    #[must_use]
    pub fn width(&self) -> f32 {
        (self.x1 - self.x0).max(0.0)
    }

    /// Height in pixels.
    #[must_use]
    pub fn height(&self) -> f32 {
        (self.y1 - self.y0).max(0.0)
    }

    /// Area in square pixels.
    #[must_use]
    pub fn area(&self) -> f32 {
        self.width() * self.height()
    }

    /// The centre.
    #[must_use]
    pub fn centre(&self) -> Point {
        Point::new(self.x0, self.y0).middle(Point::new(self.x1, self.y1))
    }

    /// Whether the box holds the point.
    #[must_use]
    pub fn contains(&self, point: Point) -> bool {
        (self.x0..=self.x1).contains(&point.x) && (self.y0..=self.y1).contains(&point.y)
    }

    /// The part that both boxes cover; of no area where they do not meet.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        Self {
            x0: self.x0.max(other.x0),
            y0: self.y0.max(other.y0),
            x1: self.x1.min(other.x1),
            y1: self.y1.min(other.y1),
        }
    }

    /// The smallest box that holds both.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        Self {
            x0: self.x0.min(other.x0),
            y0: self.y0.min(other.y0),
            x1: self.x1.max(other.x1),
            y1: self.y1.max(other.y1),
        }
    }

    /// The box with so many pixels more on each side.
    #[must_use]
    pub fn widened(&self, pixels: f32) -> Self {
        Self { x0: self.x0 - pixels, y0: self.y0 - pixels, x1: self.x1 + pixels, y1: self.y1 + pixels }
    }

    /// Intersection over union, in [0, 1]; 0 for boxes without area.
    #[must_use]
    pub fn overlap(&self, other: &Self) -> f32 {
        let shared = self.intersection(other).area();
        let union = self.area() + other.area() - shared;
        if union > 0.0 { shared / union } else { 0.0 }
    }
}

/// A rotation with a uniform scale and a shift: `(x, y) → (a·x − b·y + tx, b·x + a·y + ty)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Similarity {
    /// scale · cos(angle)
    pub a: f32,
    /// scale · sin(angle)
    pub b: f32,
    /// Shift to the right.
    pub tx: f32,
    /// Shift down.
    pub ty: f32,
}

impl Similarity {
    /// The least-squares similarity from `from` onto `to` (Umeyama 1991, eq. 40–42, in two dimensions and without
    /// reflection, where it has this closed form). `None` where all points of `from` coincide or a value is not finite.
    #[must_use]
    pub fn fit<const N: usize>(from: &[Point; N], to: &[Point; N]) -> Option<Self> {
        let mean = |points: &[Point; N]| {
            let sum = points.iter().fold((0.0, 0.0), |(x, y), p| (x + f64::from(p.x), y + f64::from(p.y)));
            (sum.0 / N as f64, sum.1 / N as f64)
        };
        let (from_mean, to_mean) = (mean(from), mean(to));
        let (mut dot, mut cross, mut variance) = (0.0, 0.0, 0.0);
        for (p, q) in from.iter().zip(to) {
            let (px, py) = (f64::from(p.x) - from_mean.0, f64::from(p.y) - from_mean.1);
            let (qx, qy) = (f64::from(q.x) - to_mean.0, f64::from(q.y) - to_mean.1);
            dot += px * qx + py * qy;
            cross += px * qy - py * qx;
            variance += px * px + py * py;
        }
        let (a, b) = (dot / variance, cross / variance);
        let fitted = Self {
            a: a as f32,
            b: b as f32,
            tx: (to_mean.0 - (a * from_mean.0 - b * from_mean.1)) as f32,
            ty: (to_mean.1 - (b * from_mean.0 + a * from_mean.1)) as f32,
        };
        let sound = [fitted.a, fitted.b, fitted.tx, fitted.ty].iter().all(|value| value.is_finite());
        (sound && fitted.scale() > f32::EPSILON).then_some(fitted)
    }

    /// Where a point goes.
    #[must_use]
    pub fn apply(&self, point: Point) -> Point {
        Point::new(self.a * point.x - self.b * point.y + self.tx, self.b * point.x + self.a * point.y + self.ty)
    }

    /// The smallest upright box that holds where all points of a box go.
    #[must_use]
    pub fn bounds(&self, of: &BoundingBox) -> BoundingBox {
        let corners = [(of.x0, of.y0), (of.x0, of.y1), (of.x1, of.y0), (of.x1, of.y1)];
        let corners = corners.map(|(x, y)| self.apply(Point::new(x, y)));
        let of_one = |Point { x, y }| BoundingBox { x0: x, y0: y, x1: x, y1: y };
        corners.iter().fold(of_one(corners[0]), |bounds, &corner| bounds.union(&of_one(corner)))
    }

    /// The transform that undoes this one. Its scale must not be zero.
    #[must_use]
    pub fn inverse(&self) -> Self {
        let square = self.a * self.a + self.b * self.b;
        let (a, b) = (self.a / square, -self.b / square);
        Self { a, b, tx: -(a * self.tx - b * self.ty), ty: -(b * self.tx + a * self.ty) }
    }

    /// The factor by which lengths grow.
    #[must_use]
    pub fn scale(&self) -> f32 {
        self.a.hypot(self.b)
    }
}
