//! Codes' places: three finders with a timing pattern along two of the sides between them (ISO/IEC 18004, 6.3.5).
//!
//! Light and dark modules by turns run from finder to finder. They say which finders belong together, where others lie
//! all around, and how many modules a side has.

use super::budget::{ReadBudget, ReadStopped};
use super::finder::Finder;
use super::picture::{Picture, Point};
use super::tables::{MAX_VERSION, side};

/// Sides that are considered from one finder, the clearest first, in each direction.
const MAX_SIDES: usize = 6;

/// The most places that are considered, the clearest first.
const MAX_PLACES: usize = 24;

/// The most steps: what is found by then is considered. All pairs of a few hundred finders take fewer.
const MAX_STEPS: u64 = 8_000_000;

/// Where a code may lie: the centres of three finders.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) corner: Point,
    pub(super) right: Point,
    pub(super) below: Point,
    /// How much larger modules are at the corner than to the right, and than below.
    pub(super) nearer: [f32; 2],
    /// Modules a side.
    pub(super) modules: usize,
    /// How far from certain; for sorting.
    doubt: f32,
}

/// From a corner's finder to another, with the timing pattern on the inner side.
#[derive(Clone, Copy)]
struct Side {
    to: usize,
    modules: usize,
    nearer: f32,
    doubt: f32,
}

/// On which side of a line from the corner the code lies, seen in the picture.
#[derive(Clone, Copy)]
enum Inner {
    /// The line is the upper side of the code.
    Right,
    /// The line is the code's left side.
    Left,
}

pub(super) fn places(
    picture: &Picture,
    finders: &[Finder],
    budget: &mut ReadBudget,
) -> Result<Vec<Place>, ReadStopped> {
    let mut places = Vec::new();
    let last_step = budget.steps() + MAX_STEPS;
    for (index, corner) in finders.iter().enumerate() {
        let (mut upper, mut left) = (Vec::new(), Vec::new());
        budget.spend(finders.len())?;
        if budget.steps() > last_step {
            break;
        }
        for (to, other) in finders.iter().enumerate() {
            if to == index || !may_share_a_code(corner, other) {
                continue;
            }
            let Some(line) = Line::between(corner, other) else { continue };
            if !(0.75 * side(1) as f32..1.3 * side(MAX_VERSION) as f32).contains(&line.measured()) {
                continue;
            }
            budget.spend(8)?;
            upper.extend(line.side(picture, Inner::Right, to, budget)?);
            left.extend(line.side(picture, Inner::Left, to, budget)?);
        }
        for sides in [&mut upper, &mut left] {
            sides.sort_by(|a: &Side, b| a.doubt.total_cmp(&b.doubt));
            sides.truncate(MAX_SIDES);
        }
        for (upper, left) in upper.iter().flat_map(|upper| left.iter().map(move |left| (upper, left))) {
            places.extend(place(finders, index, *upper, *left));
        }
    }
    places.sort_by(|a, b| a.doubt.total_cmp(&b.doubt));
    places.truncate(MAX_PLACES);
    Ok(places)
}

/// Whether two finders are about as large, and as far from each other as in a code.
fn may_share_a_code(a: &Finder, b: &Finder) -> bool {
    let modules = b.centre.minus(a.centre).length() / (a.unit + b.unit) * 2.0;
    (0.4..2.5).contains(&(a.unit / b.unit)) && (8.0..2.0 * side(MAX_VERSION) as f32).contains(&modules)
}

/// A corner with one side each way: at about a right angle, and as long.
fn place(finders: &[Finder], corner: usize, upper: Side, left: Side) -> Option<Place> {
    let [corner, right, below] = [corner, upper.to, left.to].map(|index| finders[index].centre);
    let (u, v) = (right.minus(corner), below.minus(corner));
    let sine = (u.x * v.y - u.y * v.x) / (u.length() * v.length());
    let apart = upper.modules.abs_diff(left.modules);
    let modules = if upper.doubt <= left.doubt { upper.modules } else { left.modules };
    let doubt = upper.doubt + left.doubt + apart as f32 / 4.0 + (1.0 - sine);
    let nearer = [upper.nearer, left.nearer];
    (sine > 0.6 && apart <= 4).then_some(Place { corner, right, below, nearer, modules, doubt })
}

/// Two finders, and the modules' size at each: along the line between them and across it.
struct Line {
    from: Point,
    to: Point,
    distance: f32,
    across: Point,
    along_units: [f32; 2],
    across_units: [f32; 2],
}

impl Line {
    fn between(a: &Finder, b: &Finder) -> Option<Self> {
        let away = b.centre.minus(a.centre);
        let distance = away.length();
        let along = Point { x: away.x / distance, y: away.y / distance };
        let across = Point { x: -along.y, y: along.x };
        let along_units = [a.unit_along(along)?, b.unit_along(along)?];
        let across_units = [a.unit_along(across)?, b.unit_along(across)?];
        Some(Self { from: a.centre, to: b.centre, distance, across, along_units, across_units })
    }

    /// What the modules' size says of how many a side has.
    fn measured(&self) -> f32 {
        2.0 * self.distance / (self.along_units[0] + self.along_units[1]) + 7.0
    }

    /// Follows the timing pattern, three modules from the finders' centres, and counts its modules.
    fn side(
        &self,
        picture: &Picture,
        inner: Inner,
        to: usize,
        budget: &mut ReadBudget,
    ) -> Result<Option<Side>, ReadStopped> {
        let sign = match inner {
            Inner::Right => 3.0,
            Inner::Left => -3.0,
        };
        let begin = self.from.towards(self.across, sign * self.across_units[0]);
        let end = self.to.towards(self.across, sign * self.across_units[1]);
        let line = end.minus(begin);
        let steps = line.length().ceil();
        let [first_unit, last_unit] = self.along_units;
        let (mut changes, mut run, mut dark) = (0_usize, 0.0_f32, true);
        let mut whole = true;
        for step in 0..=steps as usize {
            let done = step as f32 / steps;
            let now = picture.is_dark(begin.towards(line, done));
            if now != dark {
                (changes, run, dark) = (changes + 1, 0.0, now);
            }
            run += 1.0;
            // Half of a finder lies at each end; between them a run is as long as a module, but where one is unclear.
            let unit = first_unit + done * (last_unit - first_unit);
            let in_finder = changes == 0 || (1.0 - done) * self.distance < 6.0 * unit;
            if run > if in_finder { 6.0 } else { 3.6 } * unit {
                budget.spend(step)?;
                whole = false;
                break;
            }
        }
        if !whole {
            return Ok(None);
        }
        budget.spend(steps as usize)?;
        Ok(self.judge(changes, to))
    }

    /// Whether so many changes between light and dark fit the distance.
    fn judge(&self, changes: usize, to: usize) -> Option<Side> {
        // Seven modules of a finder, seven of the other, and one less between than there are changes.
        let counted = (changes + 13) as f32;
        let version = ((counted - 17.0) / 4.0).round();
        if version < 1.0 || version > MAX_VERSION as f32 {
            return None;
        }
        let modules = side(version as usize);
        let miscounted = (counted - modules as f32).abs();
        let mismeasured = (self.measured() / modules as f32 - 1.0).abs();
        let [first_unit, last_unit] = self.along_units;
        let doubt = miscounted / 2.0 + 4.0 * mismeasured;
        (mismeasured < 0.25).then_some(Side { to, modules, nearer: first_unit / last_unit, doubt })
    }
}
