//! From YUV samples to red, green and blue.

use super::YuvColour;

/// Integer YUV → RGB with 16 fractional bits. Coefficients from ITU-R BT.601-7 §2.5 and BT.709-6 §3.
#[derive(Clone, Copy)]
pub(crate) struct YuvToRgb {
    black: i32,
    y: i32,
    v_to_r: i32,
    u_to_g: i32,
    v_to_g: i32,
    u_to_b: i32,
}

impl YuvToRgb {
    pub(crate) fn new(colour: YuvColour) -> Self {
        let (red, blue, limited) = match colour {
            YuvColour::Bt601Limited => (0.299, 0.114, true),
            YuvColour::Bt601Full => (0.299, 0.114, false),
            YuvColour::Bt709Limited => (0.2126, 0.0722, true),
            YuvColour::Bt709Full => (0.2126, 0.0722, false),
        };
        let green = 1.0 - red - blue;
        let (black, luma, chroma) = if limited { (16, 255.0 / 219.0, 255.0 / 224.0) } else { (0, 1.0, 1.0) };
        let fixed = |value: f64| (value * 65_536.0).round() as i32;
        Self {
            black,
            y: fixed(luma),
            v_to_r: fixed(chroma * 2.0 * (1.0 - red)),
            u_to_g: fixed(chroma * -2.0 * (1.0 - blue) * blue / green),
            v_to_g: fixed(chroma * -2.0 * (1.0 - red) * red / green),
            u_to_b: fixed(chroma * 2.0 * (1.0 - blue)),
        }
    }

    /// Pixels that are converted side by side.
    pub(super) const BLOCK: usize = 16;

    /// A block of pixels; each pair of them has its U and V in `chroma`.
    #[inline(always)]
    pub(super) fn block(self, out: &mut [[u8; 4]; Self::BLOCK], luma: &[u8; Self::BLOCK], chroma: &[u8; Self::BLOCK]) {
        // Each byte twice, in arithmetic on pairs, which the compiler carries out for all of them at once.
        let (mut u, mut v) = ([0; Self::BLOCK], [0; Self::BLOCK]);
        let twice = u.as_chunks_mut().0.iter_mut().zip(v.as_chunks_mut().0);
        for ((u, v), pair) in twice.zip(chroma.as_chunks().0) {
            let pair = u16::from_le_bytes(*pair);
            *u = ((pair & 0xFF) * 0x0101).to_le_bytes();
            *v = ((pair >> 8) * 0x0101).to_le_bytes();
        }
        for (((out, &y), u), v) in out.iter_mut().zip(luma).zip(u).zip(v) {
            *out = self.pixel(y, u, v);
        }
    }

    /// One or two pixels that share their chroma.
    #[inline(always)]
    pub(super) fn pair(self, out: &mut [[u8; 4]], luma: &[u8], u: u8, v: u8) {
        for (out, &y) in out.iter_mut().zip(luma) {
            *out = self.pixel(y, u, v);
        }
    }

    #[inline(always)]
    fn pixel(self, y: u8, u: u8, v: u8) -> [u8; 4] {
        let luma = (i32::from(y) - self.black) * self.y + 32_768;
        let (u, v) = (i32::from(u) - 128, i32::from(v) - 128);
        let level = |chroma: i32| ((luma + chroma) >> 16).clamp(0, 255) as u8;
        [level(self.v_to_r * v), level(self.u_to_g * u + self.v_to_g * v), level(self.u_to_b * u), 0]
    }

    /// The same in floats and unrounded, for pixels that resizing has made of several.
    #[inline(always)]
    pub(crate) fn unrounded(self, y: f32, u: f32, v: f32) -> [f32; 3] {
        const ONE: f32 = 1.0 / 65_536.0;
        let luma = (y - self.black as f32) * (self.y as f32 * ONE);
        let (u, v) = (u - 128.0, v - 128.0);
        let factor = |fixed: i32| fixed as f32 * ONE;
        let red = luma + factor(self.v_to_r) * v;
        let green = luma + factor(self.u_to_g) * u + factor(self.v_to_g) * v;
        let blue = luma + factor(self.u_to_b) * u;
        [red.clamp(0.0, 255.0), green.clamp(0.0, 255.0), blue.clamp(0.0, 255.0)]
    }
}
