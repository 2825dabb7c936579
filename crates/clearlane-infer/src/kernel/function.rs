//! Functions of one value, without branches, so that the compiler makes vectors of them.

/// A function of one value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Function {
    Sigmoid,
    Tanh,
    Erf,
    /// `x · Φ(x)` with the normal distribution Φ.
    Gelu,
    /// The same by a hyperbolic tangent.
    GeluTanh,
    /// `max(0, min(1, slope · x + offset))`.
    HardSigmoid {
        slope: f32,
        offset: f32,
    },
    /// `x` times its hard sigmoid, of slope 1/6 and offset 1/2.
    HardSwish,
    Square,
    Sqrt,
    Abs,
}

impl Function {
    /// Replaces each value by the function's.
    #[inline(always)]
    pub(crate) fn apply(self, values: &mut [f32]) {
        match self {
            Self::Sigmoid => each(values, sigmoid),
            Self::Tanh => each(values, tanh),
            Self::Erf => each(values, erf),
            Self::Gelu => each(values, |x| 0.5 * x * (1.0 + erf(x * std::f32::consts::FRAC_1_SQRT_2))),
            Self::GeluTanh => each(values, |x| {
                // The square root of 2/π, and the constant of Hendrycks and Gimpel, "Gaussian error linear units", 2016.
                0.5 * x * (1.0 + tanh(0.797_884_6 * (x + 0.044_715 * x * x * x)))
            }),
            Self::HardSigmoid { slope, offset } => each(values, |x| (slope * x + offset).clamp(0.0, 1.0)),
            Self::HardSwish => each(values, |x| x * (x / 6.0 + 0.5).clamp(0.0, 1.0)),
            Self::Square => each(values, |x| x * x),
            Self::Sqrt => each(values, f32::sqrt),
            Self::Abs => each(values, f32::abs),
        }
    }
}

#[inline(always)]
fn each(values: &mut [f32], of: impl Fn(f32) -> f32) {
    for value in values {
        *value = of(*value);
    }
}

#[inline(always)]
pub(crate) fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// Near 0 the polynomial of Cephes' `tanhf`; from 0.625 on by the exponential function.
#[inline(always)]
#[expect(clippy::excessive_precision, reason = "the constants as Cephes gives them")]
fn tanh(x: f32) -> f32 {
    let square = x * x;
    let poly = -5.704_988_727_45e-3;
    let poly = poly * square + 2.063_908_879_54e-2;
    let poly = poly * square - 5.373_971_555_31e-2;
    let poly = poly * square + 1.333_144_220_36e-1;
    let poly = poly * square - 3.333_328_194_22e-1;
    let near = poly * square * x + x;
    let far = (1.0 - 2.0 / (exp(2.0 * x.abs()) + 1.0)).copysign(x);
    if x.abs() < 0.625 { near } else { far }
}

/// The error function, within 4 units in the last place: the quotient of polynomials that Eigen has in `generic_fast_erf_float`;
/// beyond ±4 it is ±1 in single precision.
#[inline(always)]
#[expect(clippy::excessive_precision, reason = "the constants as Eigen gives them")]
fn erf(x: f32) -> f32 {
    let given = x;
    let x = x.clamp(-4.0, 4.0);
    let square = x * x;
    let over = -2.726_142_258_013_06e-10;
    let over = over * square + 2.770_681_424_959_02e-8;
    let over = over * square - 2.101_024_020_825_08e-6;
    let over = over * square - 5.692_506_394_623_46e-5;
    let over = over * square - 7.349_906_303_268_55e-4;
    let over = over * square - 2.954_599_808_540_25e-3;
    let over = over * square - 1.609_603_332_624_15e-2;
    let under = -1.456_607_184_649_96e-5;
    let under = under * square - 2.133_740_552_789_05e-4;
    let under = under * square - 1.682_826_974_382_03e-3;
    let under = under * square - 7.373_329_167_204_68e-3;
    let under = under * square - 1.426_473_905_141_89e-2;
    if given.abs() >= 4.0 { 1.0_f32.copysign(given) } else { x * over / under }
}

/// e^x within 2 units in the last place over ±87, and saturating beyond. Cody and Waite's reduction by ln 2 in two parts, then
/// the polynomial of Cephes' `expf`.
#[inline(always)]
#[expect(clippy::excessive_precision, reason = "the constants as Cephes gives them")]
pub(crate) fn exp(x: f32) -> f32 {
    let x = x.clamp(-87.0, 88.0);
    let shifted = x * std::f32::consts::LOG2_E + 12_582_912.0;
    let n = shifted - 12_582_912.0;
    let r = x - n * 0.693_359_375 + n * 2.121_944_4e-4;
    let poly = 1.987_569_15e-4;
    let poly = poly * r + 1.398_199_950_7e-3;
    let poly = poly * r + 8.333_451_907_3e-3;
    let poly = poly * r + 4.166_579_589_4e-2;
    let poly = poly * r + 1.666_666_545_9e-1;
    let poly = poly * r + 5.000_000_120_1e-1;
    let value = poly * r * r + r + 1.0;
    // The last bits of `shifted` are those of n; shifted further, they are added to the exponent.
    let power = f32::from_bits(value.to_bits().wrapping_add(shifted.to_bits() << 23));
    if x.is_nan() { x } else { power }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::vector::LANES;

    /// Abramowitz and Stegun 7.1.5 in double precision: the series of the error function.
    fn erf_by_series(x: f64) -> f64 {
        let mut term = x;
        let mut sum = x;
        for n in 1..200 {
            term *= -x * x / f64::from(n);
            sum += term / f64::from(2 * n + 1);
        }
        sum * 2.0 / std::f64::consts::PI.sqrt()
    }

    #[test]
    fn functions_are_those_of_double_precision_to_some_units_in_the_last_place() {
        let normal = |x: f64| 0.5 * x * (1.0 + erf_by_series(x / 2.0_f64.sqrt()));
        let by_tanh =
            |x: f64| 0.5 * x * (1.0 + ((2.0 / std::f64::consts::PI).sqrt() * (x + 0.044_715 * x.powi(3))).tanh());
        let hard = |x: f64| (0.2 * x + 0.5).clamp(0.0, 1.0);
        let all: [(Function, &dyn Fn(f64) -> f64); 10] = [
            (Function::Sigmoid, &|x| 1.0 / (1.0 + (-x).exp())),
            (Function::Tanh, &f64::tanh),
            (Function::Erf, &erf_by_series),
            (Function::Gelu, &normal),
            (Function::GeluTanh, &by_tanh),
            (Function::HardSigmoid { slope: 0.2, offset: 0.5 }, &hard),
            (Function::HardSwish, &|x| x * (x / 6.0 + 0.5).clamp(0.0, 1.0)),
            (Function::Square, &|x| x * x),
            (Function::Sqrt, &|x| x.abs().sqrt()),
            (Function::Abs, &f64::abs),
        ];
        for (function, expected) in all {
            for step in -3500..=3500 {
                let x = step as f32 * 1e-3;
                let x = if function == Function::Sqrt { x.abs() } else { x };
                let mut got = [x; LANES];
                function.apply(&mut got);
                let expected = expected(f64::from(x)) as f32;
                let tolerance = 8.0 * f32::EPSILON * expected.abs().max(1e-3 + x.abs());
                assert!((got[0] - expected).abs() <= tolerance, "{function:?} of {x}: {} for {expected}", got[0]);
            }
        }
    }

    #[test]
    fn no_number_stays_none_and_the_far_ends_are_those_of_the_limit() {
        let of = |function: Function, x: f32| {
            let mut values = [x; LANES];
            function.apply(&mut values);
            values[3]
        };
        let every_payload = [f32::NAN, f32::from_bits(0x7fc0_0001), f32::from_bits(0xffff_ffff)];
        for function in
            [Function::Sigmoid, Function::Tanh, Function::Erf, Function::Gelu, Function::GeluTanh, Function::Sqrt]
        {
            assert!(every_payload.iter().all(|&x| of(function, x).is_nan()), "{function:?}");
        }
        assert!(every_payload.iter().all(|&x| exp(x).is_nan()));
        assert_eq!([-1e6, 1e6].map(|x| of(Function::Erf, x)), [-1.0, 1.0]);
        assert_eq!([-1e6, 1e6].map(|x| of(Function::Gelu, x)), [-0.0, 1e6]);
        assert_eq!([-1e6, 1e6].map(|x| of(Function::Tanh, x)), [-1.0, 1.0]);
    }
}
