//! How a frame's pixels lie in memory, and which colours YUV formats mean.

/// How a frame's pixels lie in memory. Samples have 8 bits where nothing else is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PixelFormat {
    /// Three bytes a pixel: red, green, blue.
    Rgb8,
    /// Three bytes a pixel: blue, green, red.
    Bgr8,
    /// One byte a pixel.
    Gray8,
    /// A plane of luma, then a plane of interleaved U and V at half the width and half the height.
    Nv12,
    /// Two pixels in four bytes: Y0, U, Y1, V.
    Yuyv,
    /// Two pixels in four bytes: U, Y0, V, Y1.
    Uyvy,
    /// Four bytes a pixel: red, green, blue, and one that is passed over.
    Rgba8,
    /// Four bytes a pixel: blue, green, red, and one that is passed over.
    Bgra8,
    /// A plane of luma, then planes of U and of V at half the width and half the height.
    I420,
    /// As [`PixelFormat::Nv12`], in 16 bits of which the upper 10 are used, the lower byte first.
    P010,
    /// 16 bits a pixel, the lower byte first: near infrared.
    Gray16,
}

impl PixelFormat {
    /// Every format.
    pub const ALL: [Self; 11] = [
        Self::Rgb8,
        Self::Bgr8,
        Self::Gray8,
        Self::Nv12,
        Self::Yuyv,
        Self::Uyvy,
        Self::Rgba8,
        Self::Bgra8,
        Self::I420,
        Self::P010,
        Self::Gray16,
    ];

    /// Bytes that a row of so many pixels takes, of the first plane where there are several.
    #[must_use]
    pub fn row_bytes(self, width: u32) -> usize {
        let width = width as usize;
        match self {
            Self::Rgb8 | Self::Bgr8 => 3 * width,
            Self::Rgba8 | Self::Bgra8 => 4 * width,
            Self::Gray8 | Self::Nv12 | Self::I420 => width,
            Self::Gray16 | Self::P010 => 2 * width,
            Self::Yuyv | Self::Uyvy => 4 * width.div_ceil(2),
        }
    }
}

/// Which YUV a camera means: the matrix and the range of frames in a YUV format.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum YuvColour {
    /// ITU-R BT.601, luma 16–235: most USB cameras, and OpenCV's meaning of NV12 and YUYV.
    #[default]
    Bt601Limited,
    /// ITU-R BT.601, luma 0–255: JPEG and MJPEG.
    Bt601Full,
    /// ITU-R BT.709, luma 16–235: most HD video.
    Bt709Limited,
    /// ITU-R BT.709, luma 0–255.
    Bt709Full,
}

/// How the bytes that are worked on lie: every format comes down to one of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layout {
    /// Three bytes a pixel, red first or blue first.
    Packed3 { blue_first: bool },
    /// Four bytes a pixel, the fourth of no meaning.
    Packed4 { blue_first: bool },
    /// One byte a pixel.
    Gray,
    /// A plane of luma, and one of pairs of chroma at half the width and height.
    Biplanar,
    /// Two pixels in four bytes: luma, U, luma, V; or chroma before luma in both pairs.
    Pairs { chroma_first: bool },
}
