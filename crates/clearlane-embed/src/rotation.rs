//! Cameras that are mounted sideways or upside down: how a frame has to be turned to stand upright.

use serde::{Deserialize, Serialize};

use crate::geometry::{Point, Similarity};

/// By how much a frame, as it lies in memory, is turned clockwise to stand upright.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rotation {
    /// It stands upright.
    #[default]
    None,
    /// A quarter turn: the camera was turned to its left.
    Clockwise90,
    /// Half a turn: the camera hangs upside down.
    Clockwise180,
    /// Three quarters, or one to the left: the camera was turned to its right.
    Clockwise270,
}

impl Rotation {
    /// All four, from none to three quarters.
    pub const ALL: [Self; 4] = [Self::None, Self::Clockwise90, Self::Clockwise180, Self::Clockwise270];

    /// The rotation by this one and then another.
    #[must_use]
    pub fn then(self, other: Self) -> Self {
        Self::ALL[(self as usize + other as usize) % 4]
    }

    /// The rotation that undoes this one.
    #[must_use]
    pub fn inverse(self) -> Self {
        Self::ALL[(4 - self as usize) % 4]
    }

    /// Degrees clockwise.
    #[must_use]
    pub fn degrees(self) -> u32 {
        90 * self as u32
    }

    /// Width and height after the rotation of what had these.
    pub(crate) fn turned<T>(self, [width, height]: [T; 2]) -> [T; 2] {
        match self {
            Self::None | Self::Clockwise180 => [width, height],
            Self::Clockwise90 | Self::Clockwise270 => [height, width],
        }
    }

    /// From the centres of upright pixels to those in memory, of a frame that has `width` and `height` there.
    pub(crate) fn to_memory(self, [width, height]: [u32; 2]) -> Similarity {
        let (right, bottom) = (width as f32 - 1.0, height as f32 - 1.0);
        let (a, b, tx, ty) = match self {
            Self::None => (1.0, 0.0, 0.0, 0.0),
            Self::Clockwise90 => (0.0, -1.0, 0.0, bottom),
            Self::Clockwise180 => (-1.0, 0.0, right, bottom),
            Self::Clockwise270 => (0.0, 1.0, right, 0.0),
        };
        Similarity { a, b, tx, ty }
    }

    /// The place of an upright pixel in memory.
    pub(crate) fn place(self, [width, height]: [usize; 2], [x, y]: [usize; 2]) -> [usize; 2] {
        match self {
            Self::None => [x, y],
            Self::Clockwise90 => [y, height - 1 - x],
            Self::Clockwise180 => [width - 1 - x, height - 1 - y],
            Self::Clockwise270 => [width - 1 - y, x],
        }
    }

    /// `pixels` of `width` × `height`, row by row, turned upright.
    pub(crate) fn upright<T: Copy>(self, pixels: &[T], size: [usize; 2], mut put: impl FnMut(T)) {
        let [width, height] = self.turned(size);
        for y in 0..height {
            for x in 0..width {
                let [u, v] = self.place(size, [x, y]);
                put(pixels[v * size[0] + u]);
            }
        }
    }
}

/// `first`, and then `second`.
pub(crate) fn composed(first: &Similarity, second: &Similarity) -> Similarity {
    let origin = second.apply(Point::new(first.tx, first.ty));
    Similarity {
        a: second.a * first.a - second.b * first.b,
        b: second.b * first.a + second.a * first.b,
        tx: origin.x,
        ty: origin.y,
    }
}
