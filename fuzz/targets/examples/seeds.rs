//! Makes the corpora anew, of the repository's test data and of nothing else: `cargo run -p clearlane-fuzz --example seeds`.
//!
//! Files that are there already stay, such as inputs that once failed; nothing but fictional faces and made-up people is in any.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};

use clearlane_fuzz::{Random, example_claims};
use clearlane_store::{Format, Key, Keyring, Register};
use image::{ExtendedColorType, GrayImage, ImageEncoder as _, RgbImage, codecs};

#[path = "../../../crates/clearlane-embed/tests/hostile/mod.rs"]
mod hostile;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn data(path: &str) -> Vec<u8> {
    fs::read(root().join("crates").join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn seed(target: &str, name: &str, bytes: impl AsRef<[u8]>) {
    let folder = root().join("fuzz/corpus").join(target);
    fs::create_dir_all(&folder).unwrap();
    let path = folder.join(name);
    if !path.exists() {
        fs::write(path, bytes).unwrap();
    }
}

fn main() {
    pictures();
    portraits();
    claims();
    for name in ["scrfd.onnx", "scrfd_five.onnx", "retinaface.onnx", "yunet.onnx", "means.onnx"] {
        seed("onnx", name, data(&format!("clearlane-embed/tests/data/{name}")));
    }
    for name in ["embed_mean.onnx", "embed_nan.onnx", "embed_zero.onnx"] {
        seed("onnx", name, data(&format!("clearlane-embed/tests/data/{name}")));
    }
    seed("onnx", "pad.onnx", data("clearlane-capi/tests/data/pad/pad-live.onnx"));
    let mut random = Random(7);
    let mut noise = |length: usize| (0..length).map(|_| random.bits() as u8).collect::<Vec<_>>();
    for number in 0..40 {
        seed("graphs", &format!("{number:02}"), noise(40 + 4 * number));
        seed("frames", &format!("{number:02}"), noise(80));
    }
    for number in 0..10 {
        seed("c_abi", &format!("{number:02}"), noise(60 + 30 * number));
    }
    for number in 0..12 {
        let altered = (0..=2 * number).map(|at| (at * 37 + number * 11) as u8);
        seed("galleries", &format!("altered-{number:02}"), altered.collect::<Vec<_>>());
    }
    seed("galleries", "header", [b"\x89CLGAL\n\x1a\x01\0\0\0\x08\0\0\0\x03\x04\x04\0".as_slice(), &[0; 6380]].concat());
    registers();
    texts();
}

/// Pictures of every format, tiny ones among them.
fn pictures() {
    for name in [
        "alpha.jp2",
        "alpha.png",
        "cmyk.jpg",
        "exif_1.jpg",
        "exif_6.jpg",
        "grey.jp2",
        "pattern.j2k",
        "pattern.jp2",
        "pattern.png",
        "pattern.webp",
        "portrait.jpg",
        "sixteen.png",
    ] {
        seed("pictures", name, data(&format!("clearlane-embed/tests/data/{name}")));
    }
    let small = RgbImage::from_fn(24, 18, |x, y| image::Rgb([(10 * x) as u8, (12 * y) as u8, (x * y) as u8]));
    let encoded = |encode: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = Vec::new();
        encode(&mut bytes);
        bytes
    };
    let rgb = ExtendedColorType::Rgb8;
    seed(
        "pictures",
        "small.bmp",
        encoded(&|out| {
            codecs::bmp::BmpEncoder::new(out).write_image(&small, 24, 18, rgb).unwrap();
        }),
    );
    seed("pictures", "small.ppm", [&b"P6 24 18 255\n"[..], small.as_raw()].concat());
    seed(
        "pictures",
        "small.jpg",
        encoded(&|out| {
            codecs::jpeg::JpegEncoder::new_with_quality(out, 60).write_image(&small, 24, 18, rgb).unwrap();
        }),
    );
    seed(
        "pictures",
        "small.webp",
        encoded(&|out| {
            codecs::webp::WebPEncoder::new_lossless(out).write_image(&small, 24, 18, rgb).unwrap();
        }),
    );
    seed("pictures", "bits.pbm", [&b"P4 19 9\n"[..], &[0xA5; 27]].concat());
    seed(
        "pictures",
        "any.pam",
        [&b"P7\nWIDTH 3\nHEIGHT 2\nDEPTH 4\nMAXVAL 255\nTUPLTYPE RGB_ALPHA\nENDHDR\n"[..], &[90; 24]].concat(),
    );
    seed("pictures", "deep.pgm", [&b"P5 5 3 65535\n"[..], &[7; 30]].concat());
    seed("pictures", "text.pgm", b"P2 3 2 15\n1 2 3\n4 5 15\n");
    seed("pictures", "progressive.jpg", hostile::jpeg([40, 24], true, 3));
    seed("pictures", "scans.jpg", hostile::jpeg([40, 24], false, 3));
    seed("pictures", "zeros.png", hostile::png([20, 11], &[], &hostile::zeros(11 * 61)));
}

/// A data object: tag, length, value.
fn object(tag: &[u8], value: &[u8]) -> Vec<u8> {
    [tag, &[0x82, (value.len() >> 8) as u8, value.len() as u8], value].concat()
}

/// Data groups 2 of both editions (ICAO Doc 9303-10), as the tests of `clearlane-embed` write them out.
fn portraits() {
    let picture = data("clearlane-embed/tests/data/grey.jp2");
    let group = |format: u16, block: &[u8]| {
        let header = [
            object(&[0x80], &[1, 1]),
            object(&[0x81], &[2]),
            object(&[0x87], &[1, 1]),
            object(&[0x88], &format.to_be_bytes()),
        ];
        let template = object(&[0x7F, 0x60], &[object(&[0xA1], &header.concat()), block.to_vec()].concat());
        object(&[0x75], &object(&[0x7F, 0x61], &[object(&[2], &[1]), template].concat()))
    };
    let length = 20 + 8 + 12 + picture.len() as u32;
    let mut record = b"FAC\x00010\0".to_vec();
    record.extend((14 + length).to_be_bytes());
    record.extend([0, 1]);
    record.extend(length.to_be_bytes());
    record.extend([0, 1, 2, 3, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    record.extend([1, 0x30, 0, 40, 0, 50, 0, 0]);
    record.extend([1, 1, 0, 96, 0, 128, 1, 2, 0, 0, 0, 0]);
    record.extend(&picture);
    seed("portraits", "record", &record);
    seed("portraits", "edition-2005", group(8, &object(&[0x5F, 0x2E], &record)));
    let size = [object(&[0x80], &[96]), object(&[0x81], &[0, 128])].concat();
    let information = [object(&[0xA0], &object(&[0x80], &[3])), object(&[0xA7], &size)].concat();
    let flat = [object(&[0x80], &picture), object(&[0xA1], &information)].concat();
    let representation = object(&[0xA1], &object(&[0xA0], &object(&[0xA0], &flat)));
    let block = object(&[0x30], &[object(&[0x80], &[1]), representation].concat());
    let version = [object(&[0x80], &[3]), object(&[0x81], &[7, 0xE3])].concat();
    let block = object(&[0x65], &[object(&[0xA0], &version), object(&[0xA1], &block)].concat());
    seed("portraits", "edition-2019", group(0x1E, &object(&[0x7F, 0x2E], &object(&[0xA1], &block))));
    seed("portraits", "edition-2019-plain", group(0x1E, &object(&[0x7F, 0x2E], &block)));
}

fn claims() {
    for (number, claim) in example_claims().iter().enumerate() {
        seed("claim_texts", &format!("{number}"), claim.text());
        let png = claim.to_png(2).unwrap();
        let grey: GrayImage = image::load_from_memory(&png).unwrap().to_luma8();
        seed("claim_pictures", &format!("{number}.png"), &png);
        // A byte a pixel, which mutations of compressed bytes do not reach.
        let header = format!("P5 {} {} 255\n", grey.width(), grey.height());
        seed("claim_pictures", &format!("{number}.pgm"), [header.as_bytes(), grey.as_raw()].concat());
    }
    seed("claim_texts", "empty", "CLEARLANE2:");
    seed("claim_pictures", "finders.png", data("clearlane/tests/data/qr-finder-patterns-320x180.png"));
}

fn registers() {
    for name in ["1.register", "2.register"] {
        seed("registers", name, data(&format!("clearlane-store/tests/data/{name}")));
    }
    seed("registers", "sound", []);
    let mut random = Random(5);
    for number in 0..8 {
        // The present version's file is long, and most of it is empty: parts of the first pages are written over.
        let parts =
            (0..=number).flat_map(|_| [random.bits() as u8, random.bits() as u8 & 0x7F, 0, 0, 1, random.bits() as u8]);
        seed("registers", &format!("parts-{number}"), parts.collect::<Vec<_>>());
    }
    // What an earlier version's register exports.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("2.register");
    fs::write(&path, data("clearlane-store/tests/data/2.register")).unwrap();
    let register = Register::open(&path, Keyring::new(Key::from_bytes([1; 32]))).unwrap();
    for (target, format) in [("json_lines", Format::JsonLines), ("csv", Format::Csv)] {
        let mut text = Vec::new();
        register.export(&mut text, format, format == Format::JsonLines, |_, _| ()).unwrap();
        seed(target, "exported", text);
    }
}

fn texts() {
    seed("json_lines", "keys", "\u{feff}{\"key\":\"a\"}\r\n\r\n{\"key\":\"b\",\"place\":\"hall 2\"}");
    seed(
        "json_lines",
        "strange",
        b"{\"key\":\"a\xff\"}\n{\"key\":\"b\0\"}\n{\"key\":\"c\\u0000\"}\n\0\n{\"key\":\"d\"}\n",
    );
    seed("csv", "keys", "key,place\na,hall 1\n\"b \"\"c\"\"\",\"hall\n2\"\n");
    seed("enrolment_lists", "plain", "subject,image\na,a.jpg\nb,\"b,1.jpg\"\n");
    seed(
        "enrolment_lists",
        "all",
        "place,subject,image,birth,category\nhall 1,a,a.jpg,2000-01-01,macao-resident\n\n,b,b.jpg,,\n",
    );
    for name in ["shenzhen-bay-and-gongbei.toml", "demonstration.toml"] {
        seed("policies", name, fs::read(root().join("policies").join(name)).unwrap());
    }
    seed("manifests", "builtin.toml", fs::read(root().join("models/manifest.toml")).unwrap());
    seed("manifests", "pad.toml", data("clearlane-capi/tests/data/pad/manifest.toml"));
    for (name, text) in [
        (
            "key",
            "0101010101010101010101010101010101010101010101010101010101010101\n# older\n0202020202020202020202020202020202020202020202020202020202020202\n",
        ),
        (
            "pem",
            "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----\n",
        ),
        ("category", "macao-resident"),
        ("code", "12-ABCD-EFGH-JKMN-PQRS"),
        ("port", "shenzhen-bay"),
        ("population", "webface-asian"),
    ] {
        seed("words", name, text);
    }
    let small =
        &b"\x80\x04\x95\x1d\0\0\0\0\0\0\0]\x94(C\x03one\x94C\x03two\x94h\x01C\x01x\x94e]\x94(\x88\x89e\x86\x94."[..];
    let codecs = &b"\x80\x02]q\0(c_codecs\nencode\nq\x01X\x04\0\0\0a\xc3\xbfbq\x02X\x06\0\0\0latin1q\x03\x86q\x04Rq\x05h\x05e]q\x06\x88a\x86q\x07."[..];
    for (name, bytes) in [
        ("packed.bin", small),
        ("packed-codecs.bin", codecs),
        ("packed-2.bin", &data("clearlane-eval/tests/data/packed-2.bin")[..2500]),
        ("packed-5.bin", &data("clearlane-eval/tests/data/packed-5.bin")[..2500]),
        ("pairs.txt", b"2\t1\nA\t1\t2\nA\t1\tB\t3\nB\t3\t4\nA\t2\tB\t4\n"),
        ("numbers.txt", b"A\t1\t2\nA\t1\tB\t3\nB\t3\t4\nA\t2\tB\t4\n"),
        ("labels.txt", b"1 0_A_35_f.jpg 1_A_65_f.jpg\n0 0_A_35_f.jpg 9_B_44_m.jpg\n"),
        ("two-lines.txt", b"A_0001.jpg 1\nA_0002.jpg 1\nA_0001.jpg 0\nB_0001.jpg 0\n"),
        ("rfw.txt", b"m.0a\t2\t3\nm.0b\t1\tm.0a\t3\n"),
        ("cfp.txt", b"1 ../a/frontal/1.jpg\n2 ../b/frontal/1.jpg\n%1 ../a/profile/1.jpg\n2 ../b/profile/1.jpg\n%1,1\n2,2\n%1,2\n2,1\n"),
        ("ijb.txt", b"1.jpg 1 1\n2.jpg 1 2\n3.jpg 2 3\n%1 2 0\n1 1 1\n%TEMPLATE_ID,SUBJECT_ID,FILENAME\n1,7,1.jpg\n2,8,3.jpg\n"),
        ("table.csv", b"picture,subject,role,sex,age\na.jpg,a,enrol,f,31\n\"b,1.jpg\",b,probe,m,\n"),
        ("errata.txt", b"# list\ndrop A_0001\nmerge A B\n"),
        ("manifest.toml", &fs::read(root().join("datasets/manifest.toml")).unwrap()[..1500]),
    ] {
        seed("data_sets", name, bytes);
    }
}
