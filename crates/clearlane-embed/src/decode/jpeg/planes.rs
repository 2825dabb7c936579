//! Samples of a JPEG's components, of the whole picture or of a part, at full size or reduced.

use clearlane_infer::{Wiped, vectorised};

use super::frame::FrameHeader;
use super::inverse::InverseRow;

/// Which part of a picture, in minimum coded units, and how many samples a block's side becomes: 8, 4, 2 or 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Window {
    pub(super) first: [u32; 2],
    pub(super) units: [u32; 2],
    pub(super) side: u32,
}

/// One plane for each component.
pub(super) struct Planes {
    pub(super) planes: Vec<Plane>,
    /// Pixels of the window, across and down.
    pub(super) size: [usize; 2],
}

/// Samples of one component, and how they become pixels.
pub(super) struct Plane {
    pub(super) samples: Wiped<u8>,
    pub(super) stride: usize,
    /// Samples that belong to the picture, across and down; blocks go beyond.
    pub(super) size: [usize; 2],
    /// Pixels for so many samples, across and down.
    pub(super) ratios: [Ratio; 2],
    /// Whether samples between two of the component's are interpolated.
    pub(super) smooth: bool,
    /// Samples a block, across and down.
    side: usize,
    /// Blocks that the window has, from which on.
    first: [usize; 2],
    blocks: [usize; 2],
}

/// `pixels` of them for `samples` samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ratio {
    pub(super) pixels: usize,
    pub(super) samples: usize,
}

impl Window {
    pub(super) fn whole(frame: &FrameHeader, side: u32) -> Self {
        Self { first: [0; 2], units: frame.units(), side }
    }
}

impl Planes {
    /// Bytes that the planes of a window take.
    pub(super) fn bytes(frame: &FrameHeader, window: &Window) -> u64 {
        let of_unit: u64 = (0..frame.components.len())
            .map(|component| {
                let side = u64::from(side_of(frame, component, window.side));
                u64::from(frame.components[component].across * frame.components[component].down) * side * side
            })
            .sum();
        of_unit * u64::from(window.units[0]) * u64::from(window.units[1])
    }

    pub(super) fn new(frame: &FrameHeader, window: &Window) -> Self {
        // Of a length at full size, what is within the window at this one.
        let within = |axis: usize, length: u32, most: u32, factor: u32, side: u32| {
            let all = (length * factor * side).div_ceil(8 * most);
            (all - window.first[axis] * factor * side).min(window.units[axis] * factor * side) as usize
        };
        let mosts = [frame.across, frame.down];
        let lengths = [frame.width, frame.height];
        let planes = frame.components.iter().enumerate().map(|(index, component)| {
            let side = side_of(frame, index, window.side);
            let factors = [component.across, component.down];
            let blocks = [0, 1].map(|axis| (window.units[axis] * factors[axis]) as usize);
            let side_samples = side as usize;
            Plane {
                samples: Wiped::zeroed(blocks[0] * blocks[1] * side_samples * side_samples),
                stride: blocks[0] * side_samples,
                size: [0, 1].map(|axis| within(axis, lengths[axis], mosts[axis], factors[axis], side)),
                ratios: [0, 1].map(|axis| Ratio::new(mosts[axis] * window.side, factors[axis] * side)),
                smooth: window.side > 1,
                side: side_samples,
                first: [0, 1].map(|axis| (window.first[axis] * factors[axis]) as usize),
                blocks,
            }
        });
        let planes = planes.collect();
        let size = [0, 1].map(|axis| within(axis, lengths[axis], mosts[axis], mosts[axis], window.side));
        Self { planes, size }
    }

    /// Turns rows of blocks, `across` in each and from the component's row `first` on, to samples.
    pub(super) fn render(
        &mut self,
        component: usize,
        first: u32,
        blocks: &[[i16; 64]],
        across: usize,
        quantiser: &[u16; 64],
    ) {
        let plane = &mut self.planes[component];
        for (row, blocks) in (first as usize..).zip(blocks.chunks_exact(across)) {
            if !(plane.first[1]..plane.first[1] + plane.blocks[1]).contains(&row) {
                continue;
            }
            let out = &mut plane.samples[(row - plane.first[1]) * plane.side * plane.stride..];
            let blocks = &blocks[plane.first[0]..][..plane.blocks[0]];
            vectorised(InverseRow { blocks, quantiser, side: plane.side, out, stride: plane.stride });
        }
    }
}

impl Ratio {
    fn new(pixels: u32, samples: u32) -> Self {
        let whole = if pixels.is_multiple_of(samples) { samples } else { 1 };
        Self { pixels: (pixels / whole) as usize, samples: (samples / whole) as usize }
    }

    /// Pixels a sample, where that is a whole number.
    pub(super) fn whole(self) -> Option<usize> {
        (self.samples == 1).then_some(self.pixels)
    }
}

/// Samples of a component's block side where those of the largest become `side`: what has fewer samples is reduced less,
/// rather than reduced and enlarged again.
fn side_of(frame: &FrameHeader, component: usize, side: u32) -> u32 {
    let component = &frame.components[component];
    let fits = |own: u32| {
        (frame.across * side).is_multiple_of(component.across * own)
            && (frame.down * side).is_multiple_of(component.down * own)
    };
    let mut own = side;
    while own < 8 && fits(2 * own) {
        own *= 2;
    }
    own
}
