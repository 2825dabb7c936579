//! How many modules and codewords a code has (ISO/IEC 18004, tables 1 and 9, annex E).

/// The largest version that is read: it holds the longest claim at any level of correction, in any mode.
pub(super) const MAX_VERSION: usize = 28;

/// Blocks, and codewords of correction in each, by level in the order of its two bits (M, L, H, Q) and version.
const BLOCKS: [[(u8, u8); MAX_VERSION]; 4] = [
    [
        (1, 10),
        (1, 16),
        (1, 26),
        (2, 18),
        (2, 24),
        (4, 16),
        (4, 18),
        (4, 22),
        (5, 22),
        (5, 26),
        (5, 30),
        (8, 22),
        (9, 22),
        (9, 24),
        (10, 24),
        (10, 28),
        (11, 28),
        (13, 26),
        (14, 26),
        (16, 26),
        (17, 26),
        (17, 28),
        (18, 28),
        (20, 28),
        (21, 28),
        (23, 28),
        (25, 28),
        (26, 28),
    ],
    [
        (1, 7),
        (1, 10),
        (1, 15),
        (1, 20),
        (1, 26),
        (2, 18),
        (2, 20),
        (2, 24),
        (2, 30),
        (4, 18),
        (4, 20),
        (4, 24),
        (4, 26),
        (4, 30),
        (6, 22),
        (6, 24),
        (6, 28),
        (6, 30),
        (7, 28),
        (8, 28),
        (8, 28),
        (9, 28),
        (9, 30),
        (10, 30),
        (12, 26),
        (12, 28),
        (12, 30),
        (13, 30),
    ],
    [
        (1, 17),
        (1, 28),
        (2, 22),
        (4, 16),
        (4, 22),
        (4, 28),
        (5, 26),
        (6, 26),
        (8, 24),
        (8, 28),
        (11, 24),
        (11, 28),
        (16, 22),
        (16, 24),
        (18, 24),
        (16, 30),
        (19, 28),
        (21, 28),
        (25, 26),
        (25, 28),
        (25, 30),
        (34, 24),
        (30, 30),
        (32, 30),
        (35, 30),
        (37, 30),
        (40, 30),
        (42, 30),
    ],
    [
        (1, 13),
        (1, 22),
        (2, 18),
        (2, 26),
        (4, 18),
        (4, 24),
        (6, 18),
        (6, 22),
        (8, 20),
        (8, 24),
        (8, 28),
        (10, 26),
        (12, 24),
        (16, 20),
        (12, 30),
        (17, 24),
        (16, 28),
        (18, 28),
        (21, 26),
        (20, 30),
        (23, 28),
        (23, 30),
        (25, 30),
        (27, 30),
        (29, 30),
        (34, 28),
        (34, 30),
        (35, 30),
    ],
];

/// Modules a side.
pub(super) const fn side(version: usize) -> usize {
    17 + 4 * version
}

pub(super) fn version_of(side: usize) -> Option<usize> {
    let version = side.checked_sub(17)? / 4;
    ((1..=MAX_VERSION).contains(&version) && side == self::side(version)).then_some(version)
}

/// Blocks, and codewords of correction in each.
pub(super) fn blocks(version: usize, level: usize) -> (usize, usize) {
    let (blocks, correction) = BLOCKS[level][version - 1];
    (blocks.into(), correction.into())
}

/// Rows and columns of alignment patterns' centres.
pub(super) fn alignments(version: usize) -> Vec<usize> {
    if version == 1 {
        return Vec::new();
    }
    let count = version / 7 + 2;
    let step = (version * 4 + count * 2 + 1) / (count * 2 - 2) * 2;
    let last = side(version) - 7;
    let mut centres: Vec<_> = (0..count - 1).map(|index| last - index * step).collect();
    centres.push(6);
    centres.reverse();
    centres
}
