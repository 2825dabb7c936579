//! Rounding from double to single precision, to the safe side.

/// The largest `f32` that is not above `x`.
pub(super) fn below(x: f64) -> f32 {
    let near = x as f32;
    if f64::from(near) > x { near.next_down() } else { near }
}

/// The smallest `f32` that is not below `x`.
pub(super) fn above(x: f64) -> f32 {
    let near = x as f32;
    if f64::from(near) < x { near.next_up() } else { near }
}
