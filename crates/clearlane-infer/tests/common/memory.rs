//! What is in this process's own memory, as a core dump or a debugger would see it: Linux alone.
#![allow(dead_code, unreachable_pub, reason = "each test file uses a part")]

use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Bytes to look for, masked, so that they are not found here.
pub struct Needle {
    pub name: String,
    masked: Vec<u8>,
}

const MASK: u8 = 0x5A;

impl Needle {
    /// Of bytes that are seldom by chance what they are.
    pub fn new(name: impl Into<String>, bytes: impl IntoIterator<Item = u8>) -> Self {
        let masked: Vec<u8> = bytes.into_iter().map(|byte| byte ^ MASK).collect();
        let name = name.into();
        assert!(masked.len() >= 2 * STEP && distinct(&masked) >= 8, "{name} is not distinctive");
        Self { name, masked }
    }

    pub fn floats(name: impl Into<String>, values: impl IntoIterator<Item = f32>) -> Self {
        Self::new(name, values.into_iter().flat_map(f32::to_ne_bytes))
    }
}

/// How many different values there are.
pub fn distinct(bytes: &[u8]) -> usize {
    (0..=u8::MAX).filter(|byte| bytes.contains(byte)).count()
}

/// Memory that this process may write, with the kernel's flags for it.
struct Mapping {
    addresses: Range<usize>,
    flags: String,
}

fn mappings() -> Vec<Mapping> {
    let mut mappings: Vec<Mapping> = Vec::new();
    let mut writable = false;
    for line in std::fs::read_to_string("/proc/self/smaps").unwrap().lines() {
        let mut words = line.split_ascii_whitespace();
        let Some((start, end)) = words.next().and_then(|range| range.split_once('-')) else {
            if let (Some(flags), true) = (line.strip_prefix("VmFlags:"), writable) {
                flags.clone_into(&mut mappings.last_mut().unwrap().flags);
            }
            continue;
        };
        writable = words.next().is_some_and(|rights| rights.starts_with("rw"));
        if writable {
            let address = |text| usize::from_str_radix(text, 16).unwrap();
            mappings.push(Mapping { addresses: address(start)..address(end), flags: String::new() });
        }
    }
    mappings
}

/// Bytes that are read at a time.
const PIECE: usize = 1 << 20;

/// Reads memory, one reader at a time: what one has read is not to be found by another.
struct Reader {
    memory: File,
    piece: Vec<u8>,
    _alone: MutexGuard<'static, ()>,
}

impl Reader {
    fn new() -> Self {
        static ALONE: Mutex<()> = Mutex::new(());
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        Self { memory: File::open("/proc/self/mem").unwrap(), piece: vec![0; PIECE], _alone: alone }
    }

    /// Gives the memory of a mapping to `see`, masked, in pieces that overlap by `overlap` bytes; without those of zeros.
    fn read(&mut self, mapping: &Mapping, overlap: usize, mut see: impl FnMut(usize, &[u8])) {
        let own = self.piece.as_ptr().addr()..self.piece.as_ptr().addr() + PIECE;
        let mut start = mapping.addresses.start;
        while start < mapping.addresses.end {
            let len = PIECE.min(mapping.addresses.end - start);
            // What goes away meanwhile cannot be read.
            let Ok(len) = self.memory.read_at(&mut self.piece[..len], start as u64) else { return };
            let piece = &mut self.piece[..len];
            let blank = own.start.clamp(start, start + len) - start..own.end.clamp(start, start + len) - start;
            piece[blank].fill(0);
            if piece.chunks(ZEROS.len()).any(|part| *part != ZEROS[..part.len()]) {
                for byte in piece.iter_mut() {
                    *byte ^= MASK;
                }
                see(start, piece);
            }
            if len <= overlap || start + len == mapping.addresses.end {
                return;
            }
            start += len - overlap;
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.piece.fill(0);
        std::hint::black_box(&self.piece);
    }
}

const ZEROS: [u8; 4096] = [0; 4096];

/// Of every so many bytes one is looked at, and belongs to each needle that lies there.
const STEP: usize = 16;

/// The names of those that are anywhere in memory, with their addresses.
pub fn found(needles: &[Needle]) -> Vec<String> {
    let mut reader = Reader::new();
    let overlap = needles.iter().map(|needle| needle.masked.len()).max().unwrap_or(0) + STEP;
    let key = |bytes: &[u8]| usize::from(u16::from_ne_bytes([bytes[0], bytes[1]]));
    let mut parts = vec![Vec::new(); 1 << 16];
    for needle in needles {
        (0..STEP).for_each(|offset| parts[key(&needle.masked[offset..])].push((needle, offset)));
    }
    let mut found = Vec::new();
    for mapping in mappings() {
        reader.read(&mapping, overlap, |start, piece| {
            for at in (0..piece.len() - 1).step_by(STEP) {
                for (needle, offset) in &parts[key(&piece[at..])] {
                    if at.checked_sub(*offset).is_some_and(|at| piece[at..].starts_with(&needle.masked)) {
                        found.push(format!("{} at {:x}", needle.name, start + at - offset));
                    }
                }
            }
        });
    }
    found.sort_unstable();
    found.dedup();
    found
}

/// How many bytes core dumps leave out, and how many of them are not zero: the arenas of every network.
pub fn kept_out_of_dumps() -> [usize; 2] {
    let mut reader = Reader::new();
    let (mut all, mut used) = (0, 0);
    for mapping in mappings().iter().filter(|mapping| mapping.flags.split(' ').any(|flag| flag == "dd")) {
        all += mapping.addresses.len();
        reader.read(mapping, 0, |_, piece| used += piece.iter().filter(|byte| **byte != MASK).count());
    }
    [all, used]
}
