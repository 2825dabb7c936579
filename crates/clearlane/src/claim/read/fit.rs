//! Where each module of a code lies: the projection under which finders, timing and alignment patterns look best.

use super::budget::{ReadBudget, ReadStopped};
use super::picture::{Picture, Point};
use super::symbol::Modules;
use super::tables::{alignments, version_of};
use super::timing::Place;

/// From a corner's outermost module to its finder's centre.
const TO_CENTRE: f32 = 3.5;

/// Modules around the expected place in which the fourth corner is searched, each way.
const SEARCH: f32 = 4.0;

/// By how many modules the corners are moved, one after another, as long as it helps.
const MOVES: [f32; 4] = [0.5, 0.25, 0.12, 0.06];

/// Rounds of moves of each length.
const ROUNDS: usize = 3;

/// Steps for each module when its code is read: its bit, its share of a codeword's correction.
const STEPS_A_MODULE: usize = 20;

/// How many of the modules with known colours must have them, less those that have the other one: before corners are
/// moved, and after. Codes that could be read had more than 0.65 and 0.85 of them.
const LIKENESS_BEFORE: f32 = 0.35;
const LIKENESS: f32 = 0.6;

/// A code in the picture.
pub(super) struct Fit<'a> {
    picture: &'a Picture,
    side: usize,
    /// The centres of the finders at the upper left, the upper right and the lower left, and where a fourth would be.
    corners: [Point; 4],
    /// Between dark and light at the same places.
    levels: [f32; 4],
    patterns: Vec<Pattern>,
}

/// A module whose colour is known.
#[derive(Clone, Copy)]
struct Pattern {
    at: Point,
    dark: bool,
}

/// A projection of the plane (Heckbert, Fundamentals of Texture Mapping and Image Warping, 1989, 2.2.3).
struct Projection([f32; 8]);

impl<'a> Fit<'a> {
    pub(super) fn new(
        picture: &'a Picture,
        place: &Place,
        budget: &mut ReadBudget,
    ) -> Result<Option<Self>, ReadStopped> {
        let Some(version) = version_of(place.modules) else { return Ok(None) };
        let side = place.modules;
        let corners = [place.corner, place.right, place.below, fourth_corner(place)];
        let mut fit = Self { picture, side, corners, levels: [0.0; 4], patterns: patterns(side, version) };
        fit.level(budget)?;
        if version > 1 {
            fit.search_fourth_corner(budget)?;
        }
        if !fit.improve(budget)? {
            return Ok(None);
        }
        fit.level(budget)?;
        Ok(Some(fit))
    }

    /// Dark and light around each finder's centre; the fourth corner is the others' plane.
    fn level(&mut self, budget: &mut ReadBudget) -> Result<(), ReadStopped> {
        budget.spend(3 * 49)?;
        let projection = self.projection(&self.corners);
        let far = self.side as f32 - 2.0 * TO_CENTRE;
        for (corner, (x, y)) in [(0.0, 0.0), (far, 0.0), (0.0, far)].into_iter().enumerate() {
            let (mut sums, mut counts) = ([0.0; 2], [0.0_f32; 2]);
            for pattern in &self.patterns[..49] {
                let at = Point { x: pattern.at.x + x, y: pattern.at.y + y };
                let colour = usize::from(pattern.dark);
                sums[colour] += self.picture.luma_at(projection.of(at));
                counts[colour] += 1.0;
            }
            self.levels[corner] = f32::midpoint(sums[0] / counts[0], sums[1] / counts[1]);
        }
        let [corner, right, below, _] = self.levels;
        self.levels[3] = right + below - corner;
        Ok(())
    }

    /// Finds the alignment pattern that is nearest to the fourth corner.
    fn search_fourth_corner(&mut self, budget: &mut ReadBudget) -> Result<(), ReadStopped> {
        let (expected, [right, down]) = (self.corners[3], self.unit_vectors());
        let centre = self.side as f32 - 6.5;
        let near: Vec<_> = self
            .patterns
            .iter()
            .filter(|pattern| (pattern.at.x - centre).abs() < 2.6 && (pattern.at.y - centre).abs() < 2.6)
            .copied()
            .collect();
        let steps = (2.0 * SEARCH) as i32;
        let mut best = (f32::NEG_INFINITY, expected);
        for (along, across) in (-steps..=steps).flat_map(|down| (-steps..=steps).map(move |right| (right, down))) {
            let corner = expected.towards(right, along as f32 / 2.0).towards(down, across as f32 / 2.0);
            let corners = [self.corners[0], self.corners[1], self.corners[2], corner];
            // Of places that look as well, the nearest.
            let far = (along * along + across * across) as f32 * 1e-3;
            let likeness = self.likeness(&corners, &near, budget)? - far;
            if likeness > best.0 {
                best = (likeness, corner);
            }
        }
        self.corners[3] = best.1;
        Ok(())
    }

    /// Moves the corners to where the code looks most like one; whether it looks enough like one.
    fn improve(&mut self, budget: &mut ReadBudget) -> Result<bool, ReadStopped> {
        let [right, down] = self.unit_vectors();
        let mut best = self.likeness(&self.corners, &self.patterns, budget)?;
        if best < LIKENESS_BEFORE * self.patterns.len() as f32 {
            return Ok(false);
        }
        for length in MOVES {
            for _ in 0..ROUNDS {
                let before = best;
                for (corner, direction) in (0..4).flat_map(|corner| [right, down].map(|direction| (corner, direction)))
                {
                    for sign in [1.0, -1.0] {
                        let mut corners = self.corners;
                        corners[corner] = corners[corner].towards(direction, sign * length);
                        let likeness = self.likeness(&corners, &self.patterns, budget)?;
                        if likeness > best {
                            (best, self.corners) = (likeness, corners);
                            break;
                        }
                    }
                }
                if best == before {
                    break;
                }
            }
        }
        Ok(best >= LIKENESS * self.patterns.len() as f32)
    }

    /// How far the modules with known colours are on their side of the level, in all.
    fn likeness(
        &self,
        corners: &[Point; 4],
        patterns: &[Pattern],
        budget: &mut ReadBudget,
    ) -> Result<f32, ReadStopped> {
        budget.spend(2 * patterns.len() + 16)?;
        let projection = self.projection(corners);
        Ok(patterns
            .iter()
            .map(|pattern| {
                let over = self.picture.luma_at(projection.of(pattern.at)) - self.level_at(pattern.at);
                let over = (over / 16.0).clamp(-1.0, 1.0);
                if pattern.dark { -over } else { over }
            })
            .sum())
    }

    /// The code's text, its modules seen against the finders' levels, or against those around each; also in a mirror.
    pub(super) fn text(&self, budget: &mut ReadBudget) -> Result<Option<String>, ReadStopped> {
        let values = self.values(budget)?;
        let levels: [&dyn Fn() -> Vec<f32>; 2] = [&|| self.finders_levels(), &|| self.means_around(&values)];
        for levels in levels {
            let dark = values.iter().zip(levels()).map(|(value, level)| *value < level).collect();
            let mut modules = Modules::new(self.side, dark);
            for _ in 0..2 {
                budget.spend(STEPS_A_MODULE * values.len())?;
                if let Some(text) = modules.text() {
                    return Ok(Some(text));
                }
                modules = modules.mirrored();
            }
        }
        Ok(None)
    }

    fn finders_levels(&self) -> Vec<f32> {
        let at = |index: usize| Point { x: (index % self.side) as f32 + 0.5, y: (index / self.side) as f32 + 0.5 };
        (0..self.side * self.side).map(|index| self.level_at(at(index))).collect()
    }

    /// The luma of each module: the mean of five places in it.
    fn values(&self, budget: &mut ReadBudget) -> Result<Vec<f32>, ReadStopped> {
        let projection = self.projection(&self.corners);
        let mut values = Vec::with_capacity(self.side * self.side);
        for y in 0..self.side {
            budget.spend(10 * self.side)?;
            values.extend((0..self.side).map(|x| {
                let places = [(0.5, 0.5), (0.3, 0.4), (0.7, 0.6), (0.4, 0.7), (0.6, 0.3)];
                let luma = |(along, down)| {
                    self.picture.luma_at(projection.of(Point { x: x as f32 + along, y: y as f32 + down }))
                };
                places.into_iter().map(luma).sum::<f32>() / 5.0
            }));
        }
        Ok(values)
    }

    /// The mean of the modules around each, four each way.
    fn means_around(&self, values: &[f32]) -> Vec<f32> {
        const REACH: usize = 4;
        let side = self.side;
        let around = |at: usize| at.saturating_sub(REACH)..(at + REACH + 1).min(side);
        (0..side * side)
            .map(|index| {
                let (columns, rows) = (around(index % side), around(index / side));
                let pixels = (columns.len() * rows.len()) as f32;
                rows.map(|row| values[row * side..][columns.clone()].iter().sum::<f32>()).sum::<f32>() / pixels
            })
            .collect()
    }

    fn level_at(&self, at: Point) -> f32 {
        let far = self.side as f32 - 2.0 * TO_CENTRE;
        let (x, y) = ((at.x - TO_CENTRE) / far, (at.y - TO_CENTRE) / far);
        let [corner, right, below, _] = self.levels;
        corner + x * (right - corner) + y * (below - corner)
    }

    /// About a module to the right and down.
    fn unit_vectors(&self) -> [Point; 2] {
        let far = self.side as f32 - 2.0 * TO_CENTRE;
        [self.corners[1], self.corners[2]].map(|end| {
            let away = end.minus(self.corners[0]);
            Point { x: away.x / far, y: away.y / far }
        })
    }

    fn projection(&self, corners: &[Point; 4]) -> Projection {
        Projection::onto(corners, TO_CENTRE, self.side as f32 - 2.0 * TO_CENTRE)
    }
}

/// Modules that are as many times larger at one end of a side as at the other lie as far apart in depth; a projection
/// that does both sides justice says where the fourth corner is.
fn fourth_corner(place: &Place) -> Point {
    // Sizes fall with the square of the denominator of the projection along a line.
    let [right, below] = place.nearer.map(|nearer| nearer.sqrt().clamp(0.7, 1.4));
    let across = right + below - 1.0;
    let of = |corner: f32, r: f32, b: f32| (r * right + b * below - corner) / across;
    Point { x: of(place.corner.x, place.right.x, place.below.x), y: of(place.corner.y, place.right.y, place.below.y) }
}

/// The finders first.
fn patterns(side: usize, version: usize) -> Vec<Pattern> {
    let mut patterns = Vec::new();
    let mut square = |x: usize, y: usize, size: usize, dark: &dyn Fn(usize) -> bool| {
        for (row, column) in (0..size).flat_map(|row| (0..size).map(move |column| (row, column))) {
            let ring = row.abs_diff(size / 2).max(column.abs_diff(size / 2));
            let at = Point { x: (x + column) as f32 + 0.5, y: (y + row) as f32 + 0.5 };
            patterns.push(Pattern { at, dark: dark(ring) });
        }
    };
    for (x, y) in [(0, 0), (side - 7, 0), (0, side - 7)] {
        square(x, y, 7, &|ring| ring != 2);
    }
    let centres = alignments(version);
    for (&x, &y) in centres.iter().flat_map(|x| centres.iter().map(move |y| (x, y))) {
        if (x > 6 || y > 6) && !(x == 6 && y == side - 7) && !(x == side - 7 && y == 6) {
            square(x - 2, y - 2, 5, &|ring| ring != 1);
        }
    }
    for along in 8..side - 8 {
        square(along, 6, 1, &|_| along % 2 == 0);
        square(6, along, 1, &|_| along % 2 == 0);
    }
    patterns
}

impl Projection {
    /// Takes the corners of a square, whose first one is at (`begin`, `begin`), to four points.
    fn onto([a, b, c, d]: &[Point; 4], begin: f32, size: f32) -> Self {
        let (sum_x, sum_y) = (a.x - b.x + d.x - c.x, a.y - b.y + d.y - c.y);
        let (b_d, c_d) = (b.minus(*d), c.minus(*d));
        let determinant = b_d.x * c_d.y - c_d.x * b_d.y;
        let (g, h) = if determinant == 0.0 {
            (0.0, 0.0)
        } else {
            ((sum_x * c_d.y - c_d.x * sum_y) / determinant, (b_d.x * sum_y - sum_x * b_d.y) / determinant)
        };
        let (xu, xv, yu, yv) = (b.x - a.x + g * b.x, c.x - a.x + h * c.x, b.y - a.y + g * b.y, c.y - a.y + h * c.y);
        Self([xu / size, xv / size, a.x, yu / size, yv / size, a.y, g / size, h / size]).beginning_at(begin)
    }

    /// The same for coordinates that begin at `begin`.
    fn beginning_at(self, begin: f32) -> Self {
        let [xu, xv, x, yu, yv, y, g, h] = self.0;
        let shift = |along: f32, down: f32, constant: f32| constant - begin * (along + down);
        let (x, y, one) = (shift(xu, xv, x), shift(yu, yv, y), shift(g, h, 1.0));
        Self([xu / one, xv / one, x / one, yu / one, yv / one, y / one, g / one, h / one])
    }

    fn of(&self, at: Point) -> Point {
        let [xu, xv, x, yu, yv, y, g, h] = self.0;
        let depth = g * at.x + h * at.y + 1.0;
        Point { x: (xu * at.x + xv * at.y + x) / depth, y: (yu * at.x + yv * at.y + y) / depth }
    }
}
