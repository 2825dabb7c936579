//! Rounding vectors to a few levels a dimension.

/// How a vector x stands to its code o, odd integers -(2ᵇ - 1), ..., -1, 1, ..., 2ᵇ - 1.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Factors {
    /// ⟨x, o⟩: the code's length along x.
    pub(crate) along: f32,
    /// The code's length at right angles to x.
    pub(crate) beside: f32,
}

impl Factors {
    /// Those of no code.
    pub(crate) const NONE: Self = Self { along: 0.0, beside: 0.0 };

    /// The factors of a unit vector with its code.
    pub(crate) fn of(vector: &[f32], code: impl Iterator<Item = f32>) -> Self {
        let (mut along, mut square) = (0.0_f64, 0.0_f64);
        for (x, o) in vector.iter().zip(code) {
            along += f64::from(*x) * f64::from(o);
            square += f64::from(o) * f64::from(o);
        }
        Self { along: along as f32, beside: (square - along * along).max(0.0).sqrt() as f32 }
    }

    /// The code's length.
    pub(crate) fn length(self) -> f32 {
        self.along.hypot(self.beside)
    }
}

/// Levels apart, in standard deviations of the values, for 2, 3 and 4 bits: what is best for normal values (Max 1960,
/// table II), with scales around it for vectors that are not.
const STEPS_2: [f32; 5] = [0.80, 0.90, 0.9957, 1.10, 1.22];
const STEPS_3: [f32; 5] = [0.48, 0.53, 0.5860, 0.64, 0.71];
const STEPS_4: [f32; 5] = [0.28, 0.31, 0.3352, 0.37, 0.42];

/// The code of `bits` bits a dimension (1 to 4) that lies closest in direction to a unit vector, of a few scales tried.
/// Its levels 0, ..., 2ᵇ - 1 are written to `levels`.
pub(crate) fn nearest(vector: &[f32], bits: u32, levels: &mut [u8]) -> Factors {
    let top = ((1 << bits) - 1) as f32;
    let deviations = (vector.len() as f32).sqrt();
    let scale = match bits {
        1 => 1.0,
        2 => best_scale(vector, top, STEPS_2.map(|step| deviations / step)),
        3 => best_scale(vector, top, STEPS_3.map(|step| deviations / step)),
        _ => best_scale(vector, top, STEPS_4.map(|step| deviations / step)),
    };
    for (level, x) in levels.iter_mut().zip(vector) {
        *level = ((half_odd(*x, scale, top) * 2.0 + top) * 0.5) as u8;
    }
    Factors::of(vector, levels.iter().map(|level| 2.0 * f32::from(*level) - top))
}

/// The scale whose code has the largest cosine with the vector.
fn best_scale(vector: &[f32], top: f32, scales: [f32; 5]) -> f32 {
    let cosine = |scale: f32| {
        const LANES: usize = 16;
        let (mut along, mut square) = ([0.0_f32; LANES], [0.0_f32; LANES]);
        for part in vector.chunks(LANES) {
            for ((along, square), x) in along.iter_mut().zip(&mut square).zip(part) {
                let level = half_odd(*x, scale, top);
                *along += x * level;
                *square += level * level;
            }
        }
        along.iter().sum::<f32>() / square.iter().sum::<f32>().sqrt()
    };
    let best = scales.map(|scale| (cosine(scale), scale)).into_iter().max_by(|a, b| a.0.total_cmp(&b.0));
    best.map_or(scales[2], |(_, scale)| scale)
}

/// The level next to `x · scale` among ±1/2, ±3/2, ..., ±top/2.
fn half_odd(x: f32, scale: f32, top: f32) -> f32 {
    /// Adding and subtracting it rounds a small number to an integer, in code that the compiler can vectorise.
    const ROUND: f32 = 12_582_912.0;
    let rounded = (x * scale - 0.5 + ROUND) - ROUND;
    (rounded + 0.5).clamp(-0.5 * top, 0.5 * top)
}

/// A unit vector's values rounded to -127, ..., 127, by one scale.
pub(crate) fn to_bytes(vector: &[f32]) -> Vec<i8> {
    let largest = vector.iter().fold(0.0_f32, |largest, x| largest.max(x.abs()));
    vector.iter().map(|x| (x * (127.0 / largest)).round_ties_even() as i8).collect()
}
