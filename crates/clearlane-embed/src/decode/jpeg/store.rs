//! Where a scan's coefficients go: kept for all scans of a progressive picture, or turned to samples row by row.

use clearlane_infer::Wiped;

use super::frame::FrameHeader;
use super::planes::Planes;

/// Coefficients of all components, and the planes that they become where they are not kept.
pub(super) struct Store<'a> {
    components: Vec<Coefficients>,
    /// Those of each component at its first scan, in the order of a block's rows.
    quantisers: Vec<Option<[u16; 64]>>,
    /// How many of the lowest bits each coefficient still lacks, of each component, in the order of a file.
    lacking: Vec<[u8; 64]>,
    planes: Option<&'a mut Planes>,
}

/// Of a coefficient that no scan has had yet.
const ALL: u8 = 16;

struct Coefficients {
    values: Wiped<i16>,
    /// Blocks a row.
    across: usize,
}

impl<'a> Store<'a> {
    /// All coefficients, in memory of two bytes each.
    pub(super) fn keeping(frame: &FrameHeader) -> Self {
        Self::new(frame, frame.units()[1], None)
    }

    /// Those of a row of units only: a sequential picture's, which a scan completes.
    pub(super) fn rendering(frame: &FrameHeader, planes: &'a mut Planes) -> Self {
        Self::new(frame, 1, Some(planes))
    }

    fn new(frame: &FrameHeader, rows: u32, planes: Option<&'a mut Planes>) -> Self {
        let components = frame.components.iter().map(|component| {
            let across = (frame.units()[0] * component.across) as usize;
            Coefficients { values: Wiped::zeroed(64 * across * (rows * component.down) as usize), across }
        });
        Self {
            components: components.collect(),
            quantisers: vec![None; frame.components.len()],
            lacking: vec![[ALL; 64]; frame.components.len()],
            planes,
        }
    }

    /// Blocks of one row, which is row `rows[1]` of the unit that begins at row `rows[0]`.
    #[inline(always)]
    pub(super) fn blocks(&mut self, component: usize, rows: [u32; 2], first: u32, count: u32) -> &mut [[i16; 64]] {
        let begin = if self.planes.is_some() { 0 } else { rows[0] };
        let Coefficients { values, across } = &mut self.components[component];
        &mut values.as_chunks_mut().0[(begin + rows[1]) as usize * *across + first as usize..][..count as usize]
    }

    /// A scan has read these rows of blocks.
    pub(super) fn finish(&mut self, component: usize, first: u32, count: u32) {
        if let (Some(planes), Some(quantiser)) = (&mut self.planes, &self.quantisers[component]) {
            let Coefficients { values, across } = &self.components[component];
            planes.render(component, first, &values.as_chunks().0[..*across * count as usize], *across, quantiser);
        }
    }

    /// A scan of this component begins, of these coefficients but for so many of their lowest bits. Its first one settles its
    /// quantisation.
    pub(super) fn begin(&mut self, component: usize, quantiser: [u16; 64], [first, last]: [usize; 2], shift: u32) {
        self.quantisers[component].get_or_insert(quantiser);
        self.lacking[component][first..=last].fill(shift as u8);
    }

    /// Whether each component had a scan.
    pub(super) fn has_all_components(&self) -> bool {
        self.quantisers.iter().all(Option::is_some)
    }

    /// Whether scans have made each component as sharp as it can be, or never said how bright it is.
    pub(super) fn is_exact(&self) -> bool {
        self.lacking.iter().all(|lacking| lacking[0] == ALL || *lacking == [0; 64])
    }

    /// Turns kept coefficients to samples, where the planes have them.
    pub(super) fn render(&self, planes: &mut Planes) {
        for (component, (coefficients, quantiser)) in self.components.iter().zip(&self.quantisers).enumerate() {
            if let Some(quantiser) = quantiser {
                let Coefficients { values, across } = coefficients;
                planes.render(component, 0, values.as_chunks().0, *across, quantiser);
            }
        }
    }
}
