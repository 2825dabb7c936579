//! Anybody may have made a data set's files: whatever was done to one, it is read or refused, in memory that its length bounds.
//!
//! A few thousand mutations run with the other tests; `CLEARLANE_MUTATIONS=1000000` asks for as many.
#![allow(clippy::unwrap_used)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use clearlane_eval::datasets::Datasets;
use clearlane_eval::lfw::{Errata, Pairs};
use clearlane_eval::protocol::{CfpSplit, ListFormat, Packed, PairList, Table, TemplateList, cfp_pairs, rfw_pairs};

/// Counts what this thread has allocated and not freed, and the most that was.
struct Counting;

thread_local! {
    static NOW: Cell<isize> = const { Cell::new(0) };
    static MOST: Cell<isize> = const { Cell::new(0) };
}

fn count(bytes: isize) {
    // A thread that ends frees after its counters are gone.
    let _ = NOW.try_with(|now| {
        now.set(now.get() + bytes);
        let _ = MOST.try_with(|most| most.set(most.get().max(now.get())));
    });
}

// SAFETY: everything is the system's; the counters allocate nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: the caller's promises are handed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        // SAFETY: the caller's promises are handed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The most that `read` had allocated at once.
fn peak(read: impl FnOnce()) -> usize {
    let before = NOW.get();
    MOST.set(before);
    read();
    (MOST.get() - before).unsigned_abs()
}

/// Bytes that may be allocated for each byte of a file, and for any file. A label of a table costs a comma and takes a `String`, and
/// vectors double; a parser of TOML keeps a tree.
const FOR_A_BYTE: usize = 160;
const FOR_ANY: usize = 1 << 16;

/// Random numbers: xorshift64* (Vigna, 2016).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }
}

/// What occurs in these files, and what breaks those who read them.
const PIECES: [&[u8]; 34] = [
    b"\n",
    b"\r\n",
    b" ",
    b"\t",
    b",",
    b"\"",
    b"0",
    b"1",
    b"-1",
    b"9999999999999999999999",
    b"../",
    b"/",
    b"\\",
    b"\0",
    b"\xff",
    b"\xc3\x28",
    b"enrol",
    b"picture",
    b"subject",
    b"(",
    b"]",
    b"e",
    b"a",
    b"\x86",
    b"\x88",
    b"\x94",
    b"q\x00",
    b"h\x00",
    b"r\xff\xff\xff\xff",
    b"B\xff\xff\xff\x7f",
    b"\x8e\xff\xff\xff\xff\xff\xff\xff\xff",
    b"c_codecs\nencode\n",
    b"R",
    b"X\x06\x00\x00\x00latin1",
];

fn mutate(seed: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for _ in 0..=random.below(6) {
        let at = random.below(bytes.len() + 1);
        let to = (at + random.below(40)).min(bytes.len());
        match random.below(7) {
            0 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
            1 if at < bytes.len() => bytes[at] = random.next() as u8,
            2 => drop(bytes.drain(at..to)),
            3 => bytes.truncate(at),
            4 => {
                let copy = bytes[at..to].to_vec();
                let times = 1 + random.below(30);
                let into = random.below(bytes.len() + 1);
                bytes.splice(into..into, copy.repeat(times));
            }
            _ => drop(bytes.splice(at..at, PIECES[random.below(PIECES.len())].repeat(1 + random.below(3)))),
        }
    }
    bytes
}

fn as_text(bytes: &[u8], read: impl FnOnce(&str)) {
    // Commands refuse what is no text before anything here sees it.
    if let Ok(text) = std::str::from_utf8(bytes) {
        read(text);
    }
}

type Read = fn(&[u8]);

/// Each reader with a file that it takes.
fn readers() -> Vec<(&'static str, Vec<u8>, Read)> {
    let packed = |protocol: &'static [u8]| protocol[..2500.min(protocol.len())].to_vec();
    let small = b"\x80\x04\x95\x1d\x00\x00\x00\x00\x00\x00\x00]\x94(C\x03one\x94C\x03two\x94h\x01C\x01x\x94e]\x94(\x88\x89e\x86\x94.".to_vec();
    let codecs = b"\x80\x02]q\x00(c_codecs\nencode\nq\x01X\x04\x00\x00\x00a\xc3\xbfbq\x02X\x06\x00\x00\x00latin1q\x03\x86q\x04Rq\x05h\x05e]q\x06\x88a\x86q\x07.".to_vec();
    for seed in [&small, &codecs] {
        Packed::parse(seed).unwrap();
    }
    let whole = |bytes: &[u8]| {
        if let Ok(packed) = Packed::parse(bytes) {
            assert_eq!(packed.test().pairs.len() * 2, packed.pictures().len());
            assert!(packed.pictures().iter().all(|picture| picture.bytes().len() <= bytes.len()));
        }
    };
    let list = |bytes: &[u8]| {
        as_text(bytes, |text| {
            let recognised = std::iter::once(None).chain(ListFormat::ALL.map(Some));
            for list in recognised.filter_map(|format| PairList::parse(text, format).ok()) {
                let (captures, folds) = (list.test.captures.captures.len(), list.test.folds);
                assert!(list.test.pairs.iter().all(|pair| pair.left.max(pair.right) < captures && pair.fold < folds));
            }
        });
    };
    let cfp = |bytes: &[u8]| {
        as_text(bytes, |text| {
            let mut parts = text.split('%').chain(std::iter::repeat(""));
            let mut part = || parts.next().unwrap();
            let (left, right) = (part(), part());
            let _ = cfp_pairs(left, right, &[CfpSplit { name: "FP/01", same: part(), diff: part() }]);
        });
    };
    let ijb = |bytes: &[u8]| {
        as_text(bytes, |text| {
            let mut parts = text.split('%').chain(std::iter::repeat(""));
            let mut part = || parts.next().unwrap();
            let (list, pairs, subjects) = (part(), part(), part());
            if let Ok(list) = TemplateList::parse(list) {
                let _ = list.subjects(subjects);
                assert!(list.templates.iter().all(|template| template.media.iter().all(|medium| !medium.is_empty())));
                let _ = list.pairs(pairs);
            }
        });
    };
    let table = |bytes: &[u8]| {
        as_text(bytes, |text| {
            if let Ok(Table { captures, roles }) = Table::parse(text) {
                assert_eq!(captures.captures.len(), roles.len());
                assert!(captures.captures.iter().all(|capture| capture.labels.len() == captures.columns.len()));
            }
        });
    };
    vec![
        ("packed", small, whole),
        ("packed by protocol 2 of Python 3", codecs, whole),
        ("packed by Python, protocol 2", packed(include_bytes!("data/packed-2.bin")), whole),
        ("packed by Python, protocol 5", packed(include_bytes!("data/packed-5.bin")), whole),
        ("pairs.txt", b"2\t1\nA\t1\t2\nA\t1\tB\t3\nB\t3\t4\nA\t2\tB\t4\n".to_vec(), |bytes| as_text(bytes, |text| drop(Pairs::parse(text)))),
        ("list by numbers", b"A\t1\t2\nA\t1\tB\t3\nB\t3\t4\nA\t2\tB\t4\n".to_vec(), list),
        ("list by labels", b"1 0_A_35_f.jpg 1_A_65_f.jpg\n0 0_A_35_f.jpg 9_B_44_m.jpg\n".to_vec(), list),
        ("list of two lines", b"A_0001.jpg 1\nA_0002.jpg 1\nA_0001.jpg 0\nB_0001.jpg 0\n".to_vec(), list),
        ("RFW", b"m.0a\t2\t3\nm.0b\t1\tm.0a\t3\n".to_vec(), |bytes| as_text(bytes, |text| drop(rfw_pairs("Asian", text)))),
        ("CFP", b"1 ../a/frontal/1.jpg\n2 ../b/frontal/1.jpg\n%1 ../a/profile/1.jpg\n2 ../b/profile/1.jpg\n%1,1\n2,2\n%1,2\n2,1\n".to_vec(), cfp),
        ("IJB", b"1.jpg 1 1\n2.jpg 1 2\n3.jpg 2 3\n%1 2 0\n1 1 1\n%TEMPLATE_ID,SUBJECT_ID,FILENAME\n1,7,1.jpg\n2,8,3.jpg\n".to_vec(), ijb),
        ("table", b"picture,subject,role,sex,age\na.jpg,a,enrol,f,31\n\"b,1.jpg\",b,probe,m,\n".to_vec(), table),
        ("errata", b"# list\ndrop A_0001\nmerge A B\n".to_vec(), |bytes| as_text(bytes, |text| drop(Errata::parse(text)))),
        ("manifest", include_bytes!("../datasets.toml")[..1500].to_vec(), |bytes| as_text(bytes, |text| drop(Datasets::parse(text)))),
    ]
}

#[test]
fn files_that_were_changed_anywhere_are_read_or_refused_in_memory_that_their_length_bounds() {
    let wanted = std::env::var("CLEARLANE_MUTATIONS").map_or(30_000, |count| count.parse().unwrap());
    let readers = readers();
    let mut most = 0.0_f64;
    for (name, seed, read) in &readers {
        let mut random = Random(0x9e37_79b9_7f4a_7c15);
        for round in 0..=wanted / readers.len() {
            let bytes = mutate(seed, &mut random);
            let peak = peak(|| read(&bytes));
            let allowed = FOR_ANY + FOR_A_BYTE * bytes.len();
            assert!(peak <= allowed, "{name}, mutation {round}: {peak} bytes allocated for a file of {}", bytes.len());
            most = most.max(peak as f64 / allowed as f64);
        }
    }
    println!("{wanted} mutations of {} kinds of files; the most memory, of what is allowed: {most:.2}", readers.len());
}

/// Files that are as long as short ones can make memory large: each byte of theirs asks for as much as it can.
#[test]
fn files_made_to_take_memory_take_no_more_than_their_length_allows() {
    let length = 1 << 20;
    let repeated = |begin: &[u8], piece: &[u8]| [begin, &piece.repeat(length / piece.len())].concat();
    let cases: [(&str, Vec<u8>, Read); 9] = [
        ("marks", repeated(b"\x80\x04", b"("), |bytes| drop(Packed::parse(bytes))),
        ("memory", repeated(b"\x80\x04]", b"\x94"), |bytes| drop(Packed::parse(bytes))),
        ("one picture again and again", repeated(b"\x80\x04]C\x01x\x94", b"h\x00"), |bytes| drop(Packed::parse(bytes))),
        ("booleans", repeated(b"\x80\x04]", b"\x88a"), |bytes| drop(Packed::parse(bytes))),
        ("lists", repeated(b"\x80\x04", b"]"), |bytes| drop(Packed::parse(bytes))),
        ("labels", repeated(b"picture,subject,a,b,c,d,e,f,g,h\n", b"a,,,,,,,,,\n"), |bytes| {
            as_text(bytes, |text| drop(Table::parse(text)));
        }),
        ("columns", repeated(b"picture,subject", b","), |bytes| as_text(bytes, |text| drop(Table::parse(text)))),
        ("short pairs", repeated(b"", b"1 a b\n"), |bytes| as_text(bytes, |text| drop(PairList::parse(text, None)))),
        ("templates", (0..length / 16).flat_map(|at| format!("{at:06} {at} 1\n").into_bytes()).collect(), |bytes| {
            as_text(bytes, |text| drop(TemplateList::parse(text)));
        }),
    ];
    for (name, bytes, read) in cases {
        let peak = peak(|| read(&bytes));
        assert!(
            peak <= FOR_ANY + FOR_A_BYTE * bytes.len(),
            "{name}: {peak} bytes allocated for a file of {}",
            bytes.len()
        );
    }
}
