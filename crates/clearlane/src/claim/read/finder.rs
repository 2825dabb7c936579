//! Finder patterns: the three squares in a code's corners (ISO/IEC 18004, 6.3.3), found in one pass over the rows.
//!
//! Every line through the centre of one is dark, light, dark, light and dark for 1 : 1 : 3 : 1 : 1 modules, whatever its
//! angle. A run belongs to three such rows of five at most, and what is looked at for each is a few times its length, so
//! that a picture takes steps in proportion to its pixels.

use std::collections::HashMap;

use super::budget::{ReadBudget, ReadStopped};
use super::picture::{Picture, Point};

/// The most that are considered, the clearest first: a code has three.
const MAX_FINDERS: usize = 512;

/// The most that are noted before the clearest are chosen.
const MAX_NOTED: usize = 1 << 14;

/// Side of the cells in which finders are looked up by their place, in pixels.
const CELL: f32 = 32.0;

/// The most in a cell: 25 of the smallest lie in one side by side.
const MAX_IN_CELL: usize = 32;

#[derive(Clone, Copy, Debug)]
pub(super) struct Finder {
    pub(super) centre: Point,
    /// Pixels a module, about: the mean along rows and columns.
    pub(super) unit: f32,
    /// Rows of pixels that showed it.
    rows: u32,
    /// The length of the line through the centre in each of [`DIRECTIONS`], 0 where the line does not show a finder.
    lengths: [f32; DIRECTIONS],
}

/// Directions of lines through a finder that are measured, evenly over half a turn.
const DIRECTIONS: usize = 16;

/// A straight line through a finder, as far as its outer edges.
struct Section {
    /// From the place that was given to the middle, along the line.
    middle: f32,
    /// Pixels for seven modules.
    length: f32,
}

impl Finder {
    /// Pixels a module along a line through the centre.
    pub(super) fn unit_along(&self, direction: Point) -> Option<f32> {
        let turn = direction.y.atan2(direction.x) / std::f32::consts::PI * DIRECTIONS as f32;
        let turn = turn.rem_euclid(DIRECTIONS as f32);
        let (before, part) = (turn as usize, turn.fract());
        let [a, b] = [before, before + 1].map(|direction| self.lengths[direction % DIRECTIONS]);
        let length = match (a > 0.0, b > 0.0) {
            (true, true) => a + part * (b - a),
            (true, false) => a,
            (false, true) => b,
            (false, false) => return None,
        };
        Some(length / 7.0)
    }

    fn measure(&mut self, picture: &Picture, budget: &mut ReadBudget) -> Result<(), ReadStopped> {
        for (direction, length) in self.lengths.iter_mut().enumerate() {
            let (y, x) = (direction as f32 * std::f32::consts::PI / DIRECTIONS as f32).sin_cos();
            let section = section(picture, self.centre, Point { x, y }, self.unit, budget)?;
            *length = section.map_or(0.0, |section| section.length);
        }
        Ok(())
    }
}

/// The clearest finders, measured.
pub(super) fn find(picture: &Picture, budget: &mut ReadBudget) -> Result<Vec<Finder>, ReadStopped> {
    let mut finders = scan(picture, budget)?.clearest();
    for finder in &mut finders {
        finder.measure(picture, budget)?;
    }
    Ok(finders)
}

fn scan(picture: &Picture, budget: &mut ReadBudget) -> Result<Noted, ReadStopped> {
    let mut noted = Noted::default();
    let mut edges: Vec<u32> = Vec::with_capacity(picture.width + 2);
    for y in 0..picture.height {
        budget.spend(picture.width)?;
        edges_of(picture.dark_row(y), &mut edges);
        // Runs are light and dark by turns, the first one light.
        for five in edges.windows(6).skip(1).step_by(2) {
            let run = |i: usize| (five[i + 1] - five[i]) as f32;
            let runs = [run(0), run(1), run(2), run(3), run(4)];
            if !is_finder(runs) {
                continue;
            }
            let unit = runs.iter().sum::<f32>() / 7.0;
            let x = (five[2] + five[3]) as f32 / 2.0 - 0.5;
            let at = Point { x, y: y as f32 };
            if noted.has(at, unit) {
                continue;
            }
            if let Some(finder) = confirm(picture, at, unit, budget)? {
                noted.note(finder);
                if noted.finders.len() == MAX_NOTED {
                    return Ok(noted);
                }
            }
        }
    }
    Ok(noted)
}

/// Where runs of one colour begin, the first one light (and empty where the row begins dark), and the row's end.
fn edges_of(row: &[bool], edges: &mut Vec<u32>) {
    edges.clear();
    edges.push(0);
    let mut dark = false;
    for (x, &pixel) in row.iter().enumerate() {
        if pixel != dark {
            edges.push(x as u32);
            dark = pixel;
        }
    }
    edges.push(row.len() as u32);
}

/// Half a module more or less, and half a pixel for where pixels happen to lie.
fn is_finder(runs: [f32; 5]) -> bool {
    let unit = runs.iter().sum::<f32>() / 7.0;
    let near = |run: f32, modules: f32| (run - modules * unit).abs() <= (0.3 + 0.3 * modules) * unit + 0.5;
    unit >= 1.0 && [1.0, 1.0, 3.0, 1.0, 1.0].into_iter().zip(runs).all(|(modules, run)| near(run, modules))
}

/// Looks along the column, then along the row through the column's middle.
fn confirm(picture: &Picture, at: Point, unit: f32, budget: &mut ReadBudget) -> Result<Option<Finder>, ReadStopped> {
    let (rightwards, down) = (Point { x: 1.0, y: 0.0 }, Point { x: 0.0, y: 1.0 });
    let Some(column) = section(picture, at, down, unit, budget)? else { return Ok(None) };
    let middle = at.towards(down, column.middle);
    let Some(row) = section(picture, middle, rightwards, unit, budget)? else { return Ok(None) };
    let ratio = row.length / column.length;
    let centre = middle.towards(rightwards, row.middle);
    let finder = Finder { centre, unit: (row.length + column.length) / 14.0, rows: 1, lengths: [0.0; DIRECTIONS] };
    Ok((0.4..2.5).contains(&ratio).then_some(finder))
}

/// The line through `at` along `direction` (of length 1), where it shows a finder with modules of about `unit` pixels.
fn section(
    picture: &Picture,
    at: Point,
    direction: Point,
    unit: f32,
    budget: &mut ReadBudget,
) -> Result<Option<Section>, ReadStopped> {
    // Twice the length from the middle to the edge: seen at a slant, modules are longer on one side.
    let most = (7.0 * unit) as usize + 4;
    budget.spend(2 * most)?;
    let half = |sign: f32| {
        let mut lengths = [0.0_f32; 3];
        let (mut part, mut step) = (0, 0);
        while step < most {
            let dark = picture.is_dark(at.towards(direction, sign * step as f32));
            if dark != (part != 1) {
                part += 1;
                if part == 3 {
                    return Some(lengths);
                }
                continue;
            }
            lengths[part] += 1.0;
            step += 1;
        }
        None
    };
    let (Some(before), Some(after)) = (half(-1.0), half(1.0)) else { return Ok(None) };
    // The pixel in the middle was counted twice.
    let runs = [before[2], before[1], before[0] + after[0] - 1.0, after[1], after[2]];
    let length = runs.iter().sum();
    let middle = (after[0] - before[0]) / 2.0;
    Ok(is_finder(runs).then_some(Section { middle, length }))
}

/// Finders by their place, so that each is noted once.
#[derive(Default)]
struct Noted {
    finders: Vec<Finder>,
    cells: HashMap<(i32, i32), Vec<usize>>,
}

impl Noted {
    fn cell(at: Point) -> (i32, i32) {
        ((at.x / CELL) as i32, (at.y / CELL) as i32)
    }

    /// Whether the row through `at` shows a finder that is known; it is counted there.
    fn has(&mut self, at: Point, unit: f32) -> bool {
        let (column, row) = Self::cell(at);
        let cells = (-1..=1).flat_map(|down| (-1..=1).map(move |along| (column + along, row + down)));
        let near = cells.filter_map(|cell| self.cells.get(&cell)).flatten();
        let same = near.copied().find(|&index| {
            let known = &self.finders[index];
            let away = at.minus(known.centre);
            away.x.abs() < known.unit && away.y.abs() < 2.0 * known.unit && (0.5..2.0).contains(&(unit / known.unit))
        });
        if let Some(index) = same {
            self.finders[index].rows += 1;
        }
        same.is_some()
    }

    fn note(&mut self, finder: Finder) {
        let cell = self.cells.entry(Self::cell(finder.centre)).or_default();
        if cell.len() < MAX_IN_CELL {
            cell.push(self.finders.len());
            self.finders.push(finder);
        }
    }

    /// Those that most of the rows through them show.
    fn clearest(self) -> Vec<Finder> {
        let mut finders = self.finders;
        finders.sort_by(|a, b| (b.rows as f32 / b.unit).total_cmp(&(a.rows as f32 / a.unit)));
        finders.truncate(MAX_FINDERS);
        finders
    }
}
