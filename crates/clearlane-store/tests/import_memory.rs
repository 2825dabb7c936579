//! An import holds no more of a text than a line may have. Alone in its process, whose memory it looks at.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

mod support;

use std::fs;
use std::io::{self, BufRead, Read};

use clearlane_store::Format;
use support::fixture;

/// `before`, as many `x` as are left, and `after`.
struct Endless {
    before: &'static [u8],
    left: usize,
    after: &'static [u8],
}

static CHUNK: [u8; 1 << 16] = [b'x'; 1 << 16];

impl Read for Endless {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::Error::other("not used"))
    }
}

impl BufRead for Endless {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        match (self.before, self.left) {
            ([], 0) => Ok(self.after),
            ([], left) => Ok(&CHUNK[..left.min(CHUNK.len())]),
            (before, _) => Ok(before),
        }
    }

    fn consume(&mut self, amount: usize) {
        match (self.before, self.left) {
            ([], 0) => self.after = &self.after[amount..],
            ([], _) => self.left -= amount,
            (before, _) => self.before = &before[amount..],
        }
    }
}

/// The most memory that this process ever had, in MiB.
fn peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
}

#[test]
fn a_line_or_a_field_of_600_mib_takes_a_few_mib_and_the_next_ones_are_taken() {
    let f = fixture();
    let texts: [(Format, &'static [u8], &'static [u8], u64); 3] = [
        (Format::JsonLines, b"{\"key\":\"a\"}\n{\"key\":\"", b"\"}\n{\"key\":\"b\"}\n", 2),
        (Format::Csv, b"key\nc\n\"", b"\"\nd\n", 2),
        (Format::Csv, b"key\ne\n", b"", 1),
    ];
    f.register.import(&mut &b"{\"key\":\"first\"}"[..], Format::JsonLines, |_| ()).unwrap();
    let before = peak();
    for (format, before, after, enrolled) in texts {
        let imported = f.register.import(&mut Endless { before, left: 600 << 20, after }, format, |_| ()).unwrap();
        assert_eq!((imported.enrolled, imported.refused.len()), (enrolled, 1));
    }
    assert!(peak() - before < 32, "{} MiB more than before", peak() - before);
}
