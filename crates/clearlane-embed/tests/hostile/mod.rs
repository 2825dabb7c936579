//! Small files that take their decoder much work or memory, made by the formats' standards.
#![allow(dead_code)]

/// A grey-looking YCbCr JPEG of `scans` scans with hardly any data (ITU-T T.81): progressive ones of a component's
/// coefficients 1 to 63, each block of them empty; sequential ones of a component each.
pub(crate) fn jpeg([width, height]: [u16; 2], progressive: bool, scans: usize) -> Vec<u8> {
    let mut jpeg = vec![0xFF, 0xD8];
    jpeg.extend(segment(0xDB, &[&[0][..], &[1; 64]].concat()));
    let mut frame = vec![8];
    frame.extend(height.to_be_bytes());
    frame.extend(width.to_be_bytes());
    frame.push(3);
    (1..=3).for_each(|component| frame.extend([component, 0x11, 0]));
    jpeg.extend(segment(if progressive { 0xC2 } else { 0xC0 }, &frame));
    // One code each, a zero bit: no difference of DC, and a run of 2^14 and some empty blocks or one empty block.
    let table = |class: u8, symbol: u8| [&[class, 1][..], &[0; 15], &[symbol]].concat();
    jpeg.extend(segment(0xC4, &table(0x00, 0x00)));
    jpeg.extend(segment(0xC4, &table(0x10, if progressive { 0xE0 } else { 0x00 })));
    let blocks = usize::from(width).div_ceil(8) * usize::from(height).div_ceil(8);
    for scan in 0..scans {
        let first = u8::from(progressive);
        jpeg.extend(segment(0xDA, &[1, (scan % 3 + 1) as u8, 0, first, 63, 0]));
        if progressive {
            // A zero bit and fourteen ones, so that each run has 32,767 blocks.
            let runs = blocks.div_ceil(32_767);
            let bits: Vec<u8> = (0..15 * runs).map(|bit| u8::from(bit % 15 > 0)).collect();
            for byte in bits.chunks(8).map(|bits| (0..8).fold(0, |byte, bit| byte << 1 | bits.get(bit).unwrap_or(&1))) {
                jpeg.push(byte);
                if byte == 0xFF {
                    jpeg.push(0);
                }
            }
        } else {
            jpeg.extend(vec![0; blocks.div_ceil(4)]);
        }
    }
    jpeg.extend([0xFF, 0xD9]);
    jpeg
}

/// A marker segment of a JPEG.
pub(crate) fn segment(code: u8, data: &[u8]) -> Vec<u8> {
    [&[0xFF, code][..], &(data.len() as u16 + 2).to_be_bytes(), data].concat()
}

/// An RGB PNG with `metadata` before its pixels.
pub(crate) fn png([width, height]: [u32; 2], metadata: &[u8], pixels: &[u8]) -> Vec<u8> {
    let header = [&width.to_be_bytes()[..], &height.to_be_bytes(), &[8, 2, 0, 0, 0]].concat();
    let signature = *b"\x89PNG\r\n\x1a\n";
    [&signature[..], &chunk(*b"IHDR", &header), metadata, &chunk(*b"IDAT", pixels), &chunk(*b"IEND", &[])].concat()
}

/// A chunk of a PNG.
pub(crate) fn chunk(kind: [u8; 4], data: &[u8]) -> Vec<u8> {
    let checked = [&kind[..], data].concat();
    let crc = crc_32(&checked);
    [&(data.len() as u32).to_be_bytes()[..], &checked, &crc.to_be_bytes()].concat()
}

/// The checksum of PNG, zip and others (RFC 1952, 8).
pub(crate) fn crc_32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0_u32, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| if crc & 1 == 1 { 0xEDB8_8320 ^ (crc >> 1) } else { crc >> 1 })
    })
}

/// A zlib stream of so many zeros: one, then matches of 258 in thirteen bits each (RFC 1951, 3.2.6).
pub(crate) fn zeros(count: usize) -> Vec<u8> {
    let mut stream = vec![0x78, 0x01];
    let (mut waiting, mut bits) = (0_u64, 0);
    let mut put = |value: u64, length: u32| {
        waiting |= value << bits;
        bits += length;
        while bits >= 8 {
            stream.push(waiting as u8);
            (waiting, bits) = (waiting >> 8, bits - 8);
        }
    };
    let (zero, run) = (0b0000_1100, 0b1010_0011);
    put(0b011, 3);
    put(zero, 8);
    for _ in 0..(count - 1) / 258 {
        put(run, 8);
        put(0, 5);
    }
    for _ in 0..(count - 1) % 258 {
        put(zero, 8);
    }
    // The end of the block, and what is left of its last byte.
    put(0, 7);
    put(0, 7);
    stream.extend((((count % 65_521) as u32) << 16 | 1).to_be_bytes());
    stream
}
