//! The comparisons that a decision may rest on.
//!
//! Each is a proof: it holds only where every number in it is finite. A number that is none, or infinite, speaks for nobody,
//! whichever way round a rule asks. Rules compare scores, thresholds and rates through these alone.

/// Whether `value` is shown to be at least `least`.
pub(crate) fn reaches(value: impl Into<f64>, least: impl Into<f64>) -> bool {
    let (value, least) = (value.into(), least.into());
    value.is_finite() && least.is_finite() && value >= least
}

/// Whether `value` is shown to lie under `limit`.
pub(crate) fn under(value: impl Into<f64>, limit: impl Into<f64>) -> bool {
    let (value, limit) = (value.into(), limit.into());
    value.is_finite() && limit.is_finite() && value < limit
}

/// Whether `first` is shown to lead `next` by at least `margin`. The difference is taken in double precision, where it is
/// exact for two comparison scores.
pub(crate) fn leads(first: f32, next: f32, margin: f32) -> bool {
    reaches(f64::from(first) - f64::from(next), margin)
}

#[cfg(test)]
mod tests {
    use std::cmp::Ordering;

    use super::*;

    /// Numbers at which comparisons go wrong, and some at which they do not.
    const NUMBERS: [f32; 19] = [
        f32::NAN,
        f32::INFINITY,
        f32::NEG_INFINITY,
        f32::MAX,
        f32::MIN,
        f32::MIN_POSITIVE,
        -f32::MIN_POSITIVE,
        1e-45,
        -1e-45,
        0.0,
        -0.0,
        0.049_999_997,
        0.05,
        0.050_000_004,
        0.4,
        0.8,
        1.0,
        -1.0,
        2.0,
    ];

    #[test]
    fn a_comparison_holds_for_finite_numbers_alone_and_then_by_their_order() {
        for value in NUMBERS {
            for other in NUMBERS {
                let order = Some((value, other)).filter(|(a, b)| a.is_finite() && b.is_finite());
                let order = order.and_then(|(a, b)| a.partial_cmp(&b));
                assert_eq!(reaches(value, other), matches!(order, Some(Ordering::Greater | Ordering::Equal)));
                assert_eq!(under(value, other), order == Some(Ordering::Less), "{value} {other}");
            }
        }
    }

    #[test]
    fn a_lead_is_shown_by_finite_numbers_alone_and_is_the_exact_difference() {
        for first in NUMBERS {
            for next in NUMBERS {
                for margin in NUMBERS {
                    let finite = [first, next, margin].iter().all(|number| number.is_finite());
                    // The difference of two scores of like size is exact; the others here differ by far more than rounding.
                    let wide = f64::from(first) - f64::from(next) >= f64::from(margin);
                    assert_eq!(leads(first, next, margin), finite && wide, "{first} {next} {margin}");
                }
            }
        }
    }
}
