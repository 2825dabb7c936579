//! What a JPEG's frame header says: size, components, and how blocks cover them.

use super::{damaged, unsupported};
use crate::decode::DecodeError;

/// A frame header (ITU-T T.81, B.2.2) and what follows from it (A.1 and A.2).
#[derive(Clone, Debug)]
pub(super) struct FrameHeader {
    pub(super) progressive: bool,
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) components: Vec<Component>,
    /// The largest sampling factors of all components.
    pub(super) across: u32,
    pub(super) down: u32,
}

/// One component: its sampling factors, and its blocks of 8 × 8 samples.
#[derive(Clone, Debug)]
pub(super) struct Component {
    pub(super) id: u8,
    pub(super) across: u32,
    pub(super) down: u32,
    /// Which quantisation table.
    pub(super) table: usize,
    /// Blocks that its samples need: what a scan of it alone has.
    pub(super) blocks: [u32; 2],
}

impl FrameHeader {
    /// The frame of this start-of-frame marker.
    pub(super) fn parse(code: u8, segment: &[u8]) -> Result<Self, DecodeError> {
        match code {
            0xC0..=0xC2 => {}
            0xC3 | 0xC7 | 0xCB | 0xCF => return Err(unsupported("a lossless JPEG")),
            0xC9 | 0xCA => return Err(unsupported("a JPEG with arithmetic coding")),
            _ => return Err(unsupported("a hierarchical JPEG")),
        }
        let Some((&[precision, y1, y0, x1, x0, count], components)) = segment.split_first_chunk() else {
            return Err(damaged("the JPEG's frame header is too short"));
        };
        if precision != 8 {
            return Err(unsupported(&format!("a JPEG of {precision} bits a sample")));
        }
        let [height, width] = [[y1, y0], [x1, x0]].map(|side| u32::from(u16::from_be_bytes(side)));
        if height == 0 {
            return Err(unsupported("a JPEG that gives its height after its first scan"));
        }
        if width == 0 {
            return Err(damaged("the JPEG's frame header gives a width of 0"));
        }
        if !matches!(count, 1 | 3 | 4) {
            return Err(unsupported(&format!("a JPEG of {count} components")));
        }
        let (components, []) = components.as_chunks::<3>() else {
            return Err(damaged("the JPEG's frame header ends within a component"));
        };
        if components.len() != usize::from(count) {
            return Err(damaged("the JPEG's frame header has other components than it announces"));
        }
        let factors = |&[_, factors, _]: &[u8; 3]| [u32::from(factors >> 4), u32::from(factors & 15)];
        if components.iter().flat_map(factors).any(|factor| !(1..=4).contains(&factor)) {
            return Err(damaged("the JPEG's frame header has a sampling factor that is not 1 to 4"));
        }
        if components.iter().any(|&[_, _, table]| table > 3) {
            return Err(damaged("the JPEG's frame header names a quantisation table that is not 0 to 3"));
        }
        let most = |side: usize| components.iter().map(|component| factors(component)[side]).max().unwrap_or(1);
        let mut frame =
            Self { progressive: code == 0xC2, width, height, components: Vec::new(), across: most(0), down: most(1) };
        for component in components {
            let &[id, _, table] = component;
            let [across, down] = factors(component);
            let blocks = [(width * across).div_ceil(8 * frame.across), (height * down).div_ceil(8 * frame.down)];
            if frame.components.iter().any(|other| other.id == id) {
                return Err(damaged("the JPEG has two components of one name"));
            }
            frame.components.push(Component { id, across, down, table: usize::from(table), blocks });
        }
        Ok(frame)
    }

    /// Minimum coded units of an interleaved scan, across and down.
    pub(super) fn units(&self) -> [u32; 2] {
        [self.width.div_ceil(8 * self.across), self.height.div_ceil(8 * self.down)]
    }

    /// Blocks of all components, those that only fill the last units among them.
    pub(super) fn all_blocks(&self) -> u64 {
        let [across, down] = self.units().map(u64::from);
        let of_unit: u32 = self.components.iter().map(|component| component.across * component.down).sum();
        across * down * u64::from(of_unit)
    }
}
