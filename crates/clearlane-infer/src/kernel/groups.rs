//! The output blocks of a dense convolution that are computed together, and the tiles that their rows are cut into.

use std::ops::Range;

use super::tile;

/// Weights of more bytes than this do not stay in a core's own cache from one row to the next.
const CACHED_WEIGHTS: usize = 768 << 10;

/// Output blocks that are computed together, by kernels of type `K`.
pub(crate) struct Group<K> {
    pub(crate) first: usize,
    pub(crate) blocks: usize,
    /// The row, cut into tiles.
    tiles: Vec<(usize, K)>,
    /// A kernel for two whole rows, where they are that short.
    two_rows: Option<K>,
}

/// All groups of one convolution.
pub(crate) struct Groups<K>(Vec<Group<K>>);

impl<K: Copy> Groups<K> {
    /// Cuts `planes` output blocks and their rows so that tiles fit in `accumulators` registers; `kernel` gives the
    /// kernel for a number of blocks, of pixels in a row, and of rows.
    pub(crate) fn new(
        planes: usize,
        width: usize,
        accumulators: usize,
        kernel: impl Fn(usize, usize, usize) -> Option<K>,
    ) -> Option<Self> {
        let group = |Range { start, end }: Range<usize>| {
            let blocks = end - start;
            let cut = tile::cut(width, blocks, accumulators);
            let tiles =
                cut.iter().map(|tile| Some((tile.x, kernel(blocks, tile.pixels, 1)?))).collect::<Option<_>>()?;
            Some(Group { first: start, blocks, tiles, two_rows: kernel(blocks, width, 2) })
        };
        tile::groups(planes, accumulators).into_iter().map(group).collect::<Option<_>>().map(Self)
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The output blocks of each group.
    pub(crate) fn blocks(&self) -> impl Iterator<Item = Range<usize>> {
        self.0.iter().map(|group| group.first..group.first + group.blocks)
    }

    /// The output planes of some groups.
    pub(crate) fn planes(&self, groups: Range<usize>) -> Range<usize> {
        let groups = &self.0[groups];
        groups.first().map_or(0, |group| group.first)..groups.last().map_or(0, |group| group.first + group.blocks)
    }

    /// Calls `tile` with each tile of some rows of some groups: the group, the tile's first pixel as y and x, its kernel.
    /// `weights` is how many bytes the weights of all groups take.
    pub(crate) fn walk(
        &self,
        rows: Range<usize>,
        groups: Range<usize>,
        weights: usize,
        tile: impl Fn(&Group<K>, usize, usize, K),
    ) {
        let groups = &self.0[groups];
        if weights > CACHED_WEIGHTS {
            // A group's weights are read from far away once, and serve all rows.
            for group in groups {
                group.walk(rows.clone(), &tile);
            }
        } else {
            for first in rows.clone().step_by(2) {
                for group in groups {
                    group.walk(first..rows.end.min(first + 2), &tile);
                }
            }
        }
    }
}

impl<K: Copy> Group<K> {
    fn walk(&self, mut rows: Range<usize>, tile: impl Fn(&Self, usize, usize, K)) {
        while let Some(y) = rows.next() {
            match self.two_rows {
                Some(kernel) if !rows.is_empty() => {
                    rows.next();
                    tile(self, y, 0, kernel);
                }
                _ => self.tiles.iter().for_each(|&(x, kernel)| tile(self, y, x, kernel)),
            }
        }
    }
}
