//! What may be wrong in a file, a name or a key: each kind with the call that meets it.

use std::fs;
use std::path::Path;

use crate::common::{clearlane, fictional, file};
use crate::port::readable_by_all;

/// A kind of bad input.
pub(crate) struct Kind {
    pub(crate) input: &'static str,
    pub(crate) words: &'static str,
    /// What the message must name.
    pub(crate) names: &'static str,
    /// Makes the files bad in a copy of the port's folder.
    pub(crate) spoil: fn(&Path),
}

const fn kind(input: &'static str, words: &'static str, names: &'static str, spoil: fn(&Path)) -> Kind {
    Kind { input, words, names, spoil }
}

const LANES: &str =
    "lane run queue.txt --policy policy.toml --port shenzhen-bay --register port.register --key-file port.key";
const ENROL: &str = "enrol list.csv --without-policy --register port.register --key-file port.key";
const IMPORT: &str = "register import people.jsonl --register port.register --key-file port.key";
const IDENTIFY: &str = "identify face.jpg --register port.register --key-file port.key";

fn nothing(_: &Path) {}

/// The policy with one text in another's place.
fn policy(folder: &Path, from: &str, to: &str) {
    let path = folder.join("policy.toml");
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{from}");
    fs::write(path, text.replacen(from, to, 1)).unwrap();
}

/// A picture of both halves of a face, as the format of the name.
fn picture(folder: &Path, name: &str) -> Vec<u8> {
    let path = folder.join(name);
    image::open(fictional("enrolled/f0000/enrol.jpg")).unwrap().save(&path).unwrap();
    fs::read(path).unwrap()
}

/// The first `part` of a picture's bytes, in thousandths.
fn cut(folder: &Path, name: &str, part: usize) {
    let whole = picture(folder, name);
    file(folder, name, &whole[..whole.len() * part / 1000]);
}

fn register(folder: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let path = folder.join("port.register");
    let mut bytes = fs::read(&path).unwrap();
    change(&mut bytes);
    fs::write(path, bytes).unwrap();
}

/// Changes the register behind its back.
fn statement(folder: &Path, sql: &str) {
    rusqlite::Connection::open(folder.join("port.register")).unwrap().execute_batch(sql).unwrap();
}

fn list(folder: &Path, text: &str) {
    file(folder, "list.csv", text.as_bytes());
}

fn lines(folder: &Path, text: &str) {
    file(folder, "people.jsonl", text.as_bytes());
}

const ENTRY: &str = "[[model]]\nname = \"finder\"\nfile = \"finder.onnx\"\n\
    sha256 = \"0000000000000000000000000000000000000000000000000000000000000000\"\n\
    input = { width = 320, height = 320, colour = \"rgb\", mean = [0.0, 0.0, 0.0], std = [1.0, 1.0, 1.0] }\n\
    licence = \"none\"\nsource = \"a test\"\n\n[model.task.detection]\nfamily = \"scrfd\"\nscore_threshold = 0.5\noverlap_threshold = 0.4\n";

/// A manifest with one text in another's place.
fn manifest(folder: &Path, from: &str, to: &str) {
    assert!(ENTRY.contains(from), "{from}");
    file(folder, "models/manifest.toml", ENTRY.replacen(from, to, 1).as_bytes());
}

pub(crate) const KINDS: &[Kind] = &[
    // Names that nobody has.
    kind("a command that is none", "inpsect face.jpg", "inpsect", nothing),
    kind("no command", "--quiet", "", nothing),
    kind("an option that is none", "inspect face.jpg --fast", "--fast", nothing),
    kind("an argument too few", "verify face.jpg", "<B>", nothing),
    kind("an argument too many", "verify face.jpg live.jpg more.jpg", "more.jpg", nothing),
    kind("two pictures for one", "inspect face.jpg live.jpg", "one picture, got 2", nothing),
    kind(
        "options that exclude each other",
        "verify face.jpg live.jpg --fmr 1e-4 --threshold 0.5",
        "--threshold",
        nothing,
    ),
    kind("an option without the other that it needs", "calibrate folder people --group-by sex", "--labels", nothing),
    kind("a shell that is none", "completions basic", "basic", nothing),
    kind("a detector that is none", "inspect face.jpg --detector oracle", "oracle", nothing),
    kind("an embedder that is none", "verify face.jpg live.jpg --embedder oracle", "oracle", nothing),
    kind("an embedder for a detector", "inspect face.jpg --detector clearlane-embedder", "clearlane-embedder", nothing),
    kind("a model that is none", "models show oracle", "oracle", nothing),
    kind("a data set that is none", "datasets check atlantis people", "atlantis", nothing),
    kind(
        "a port that is none",
        "lane run queue.txt --policy policy.toml --port atlantis --register port.register --key-file port.key",
        "atlantis",
        nothing,
    ),
    kind(
        "a port that is no name",
        "lane run queue.txt --policy policy.toml --port Shenzhen --register port.register --key-file port.key",
        "Shenzhen",
        nothing,
    ),
    kind(
        "a subject that is none",
        "register show nobody --register port.register --key-file port.key",
        "nobody",
        nothing,
    ),
    kind(
        "a subject to revoke that is none",
        "register revoke nobody --reason gone --register port.register --key-file port.key",
        "nobody",
        nothing,
    ),
    kind(
        "a record of nobody",
        "records print nobody --policy policy.toml --register port.register --key-file port.key",
        "nobody",
        nothing,
    ),
    kind(
        "a time that is none",
        "calibrate check --since yesterday --register port.register --key-file port.key",
        "yesterday",
        nothing,
    ),
    kind("a population that is none", "verify face.jpg live.jpg --population martians", "martians", nothing),
    kind("a threshold beyond any score", "verify face.jpg live.jpg --threshold 1.5", "[-1, 1]", nothing),
    kind("a rate that no calibration reaches", "verify face.jpg live.jpg --fmr 1e-30", "1e-30", nothing),
    // Pictures.
    kind("a picture without a face", "inspect grey.png", "grey.png", |f| {
        image::RgbImage::from_pixel(160, 120, image::Rgb([128; 3])).save(f.join("grey.png")).unwrap();
    }),
    kind("a picture with two faces", "verify two.png face.jpg", "two.png", |f| {
        let one = image::open(f.join("face.jpg")).unwrap().to_rgb8();
        let mut two = image::RgbImage::new(2 * one.width(), one.height());
        image::imageops::replace(&mut two, &one, 0, 0);
        image::imageops::replace(&mut two, &one, i64::from(one.width()), 0);
        two.save(f.join("two.png")).unwrap();
    }),
    kind("a face that the border cuts", "verify half.png face.jpg", "half.png", |f| {
        let one = image::open(f.join("face.jpg")).unwrap();
        one.crop_imm(0, 0, one.width() * 40 / 100, one.height()).save(f.join("half.png")).unwrap();
    }),
    kind("a JPEG cut in its header", "inspect cut.jpg", "cut.jpg", |f| cut(f, "cut.jpg", 20)),
    kind("a JPEG cut short", "inspect cut.jpg", "cut short", |f| cut(f, "cut.jpg", 667)),
    kind("a PNG cut in its header", "inspect cut.png", "cut.png", |f| {
        drop(file(f, "cut.png", &picture(f, "cut.png")[..20]));
    }),
    kind("a PNG cut short", "inspect cut.png", "cut short", |f| cut(f, "cut.png", 667)),
    kind("a WebP cut short", "inspect cut.webp", "cut.webp", |f| cut(f, "cut.webp", 667)),
    kind("a BMP cut in its header", "inspect cut.bmp", "cut.bmp", |f| {
        drop(file(f, "cut.bmp", &picture(f, "cut.bmp")[..20]));
    }),
    kind("a BMP cut short", "inspect cut.bmp", "cut short", |f| cut(f, "cut.bmp", 667)),
    kind("a PPM cut in its header", "inspect cut.ppm", "cut.ppm", |f| drop(file(f, "cut.ppm", b"P6\n160"))),
    kind("a PPM cut short", "inspect cut.ppm", "cut short", |f| cut(f, "cut.ppm", 667)),
    kind("a PGM cut short", "inspect cut.pgm", "cut short", |f| drop(file(f, "cut.pgm", b"P5\n160 120\n255\n\0\0"))),
    kind("a JPEG 2000 cut short", "inspect cut.jp2", "cut.jp2", |f| {
        drop(file(f, "cut.jp2", b"\0\0\0\x0cjP  \r\n\x87\n\0\0\0\x14ftypjp2 \0\0\0\0jp2 "));
    }),
    kind("a data group 2 cut short", "inspect cut.dg2", "cut.dg2", |f| {
        drop(file(f, "cut.dg2", b"\x75\x82\x20\x00\x7f\x61\x82\x1f\xfb\x02\x01\x01\x7f\x60"));
    }),
    kind("a picture of no pixels", "inspect none.ppm", "none.ppm", |f| drop(file(f, "none.ppm", b"P6\n0 120\n255\n"))),
    kind("a header of 60,000 x 60,000 pixels", "inspect huge.ppm", "60000 x 60000", |f| {
        drop(file(f, "huge.ppm", b"P6\n60000 60000\n255\n\0\0\0"));
    }),
    kind("more pixels than are let in", "inspect face.jpg --max-pixels 100", "--max-pixels", nothing),
    kind("a picture under a control character's name", "inspect \u{1b}[2J.jpg", "\\u{1b}[2J.jpg", nothing),
    kind("a picture under a name that is written from right to left", "inspect \u{202e}gpj.exe", "\\u{202e}", nothing),
    // Keys and registers.
    kind("no key", "identify face.jpg --register port.register", "--key-file", nothing),
    kind("another key", "identify face.jpg --register port.register --key-file other.key", "--key-file", nothing),
    kind("a key of too few digits", IDENTIFY, "64 hexadecimal digits", |f| {
        fs::write(f.join("port.key"), "abcdef\n").unwrap();
    }),
    kind("a key that is no number", IDENTIFY, "64 hexadecimal digits", |f| {
        fs::write(f.join("port.key"), "x".repeat(64)).unwrap();
    }),
    kind("a key that others may read", IDENTIFY, "600", |f| readable_by_all(&f.join("port.key"))),
    kind("a key's file that is there already", "register keygen port.key", "port.key", nothing),
    kind("a register cut short", IDENTIFY, "port.register", |f| register(f, |bytes| bytes.truncate(bytes.len() / 3))),
    kind("a register that is a letter", IDENTIFY, "port.register", |f| {
        register(f, |bytes| *bytes = b"Dear Sir".repeat(600));
    }),
    kind("a register whose pages are zeros", IDENTIFY, "port.register", |f| register(f, |bytes| bytes[4096..].fill(0))),
    kind("a register of a newer version", IDENTIFY, "port.register", |f| statement(f, "PRAGMA user_version = 999")),
    kind("a register of another program", IDENTIFY, "port.register", |f| {
        fs::remove_file(f.join("port.register")).unwrap();
        statement(f, "CREATE TABLE cakes (name TEXT)");
    }),
    kind("a register with a row more", "register check --register port.register --key-file port.key", "", |f| {
        statement(f, "UPDATE subject SET key = 'eve'");
    }),
    kind(
        "a register that is opened with another's witness",
        "identify face.jpg --register port.register --key-file port.key --witness letter",
        "letter",
        nothing,
    ),
    kind(
        "a backup over a file that is there",
        "register backup letter --register port.register --key-file port.key",
        "letter",
        nothing,
    ),
    kind(
        "a backup that is none",
        "register restore letter --register new.register --key-file port.key",
        "letter",
        nothing,
    ),
    kind(
        "a restore over a register that is there",
        "register restore old.register --register port.register --key-file port.key",
        "port.register",
        |f| {
            let mut backup = clearlane();
            backup.args([
                "register",
                "backup",
                "old.register",
                "--register",
                "port.register",
                "--key-file",
                "port.key",
            ]);
            backup.current_dir(f).assert().success();
        },
    ),
    // Policies.
    kind("a policy that is no TOML", LANES, "policy.toml:1:1", |f| {
        fs::write(f.join("policy.toml"), "= nothing\n").unwrap();
    }),
    kind("a policy that is not UTF-8", LANES, "policy.toml", |f| {
        fs::write(f.join("policy.toml"), b"name = \"\xff\"\n").unwrap();
    }),
    kind("a policy with a misspelt key", LANES, "minimun", |f| policy(f, "minimum", "minimun")),
    kind("a policy without a table", LANES, "age", |f| {
        policy(f, "[age]\nminimum = 14\nleap-day-birthday = \"03-01\"\nsource = \"The pilot's rule.\"\n", "");
    }),
    kind("a policy with a word for a number", LANES, "policy.toml:20:11", |f| {
        policy(f, "minimum = 14", "minimum = \"fourteen\"");
    }),
    kind("a policy with an age below 0", LANES, "age", |f| policy(f, "minimum = 14", "minimum = -14")),
    kind("a policy with a day that is none", LANES, "policy.toml:5:17", |f| policy(f, "2024-11-20", "2024-11-31")),
    kind("a policy that ends before it begins", LANES, "in-force-until", |f| {
        policy(f, "time-zone", "in-force-until = \"2024-01-01\"\ntime-zone");
    }),
    kind("a policy in a time zone that is none", LANES, "Asia/Atlantis", |f| {
        policy(f, "Asia/Shanghai", "Asia/Atlantis");
    }),
    kind("a policy without ports", LANES, "ports", |f| policy(f, "[[ports]]", "[[no-ports]]")),
    kind("a policy with a port's id that is none", LANES, "Shenzhen Bay", |f| {
        policy(f, "id = \"shenzhen-bay\"", "id = \"Shenzhen Bay\"");
    }),
    kind("a policy with a port without directions", LANES, "directions", |f| policy(f, "[\"entry\", \"exit\"]", "[]")),
    kind("a policy with a direction that is none", LANES, "sideways", |f| {
        policy(f, "[\"entry\", \"exit\"]", "[\"sideways\"]");
    }),
    kind("a policy that serves nobody", LANES, "populations", |f| policy(f, "[\"fictional-people\"]", "[]")),
    kind("a policy for a population on whom no model was measured", LANES, "martians", |f| {
        policy(f, "fictional-people", "martians");
    }),
    kind("a policy with a category that is none", LANES, "martian", |f| {
        policy(f, "\"mainland-resident\"", "\"martian\"");
    }),
    kind("a policy with a document that is none", LANES, "library-card", |f| {
        policy(f, "\"exit-entry-permit-hk-macao\"", "\"library-card\"");
    }),
    kind("a policy with a consent to nothing", LANES, "scope", |f| policy(f, "scope = [\"face\"]", "scope = []")),
    kind("a policy with no frames for a probe", LANES, "best-frames", |f| {
        policy(f, "best-frames = 1", "best-frames = 0");
    }),
    kind("a policy with a rule for PAD that is none", LANES, "sometimes", |f| policy(f, "if-assessed", "sometimes")),
    kind("a policy with a PAD threshold of NaN", LANES, "pad-threshold", |f| {
        policy(f, "pad-threshold = 0.5", "pad-threshold = nan");
    }),
    kind("a policy with a quality component that is none", LANES, "Beauty", |f| {
        policy(f, "{ InterEyeDistance = 20 }", "{ Beauty = 20 }");
    }),
    kind("a policy with a quality beyond 100", LANES, "capture.quality", |f| {
        policy(f, "{ InterEyeDistance = 20 }", "{ InterEyeDistance = 200 }");
    }),
    kind("a policy with a rate of 0", LANES, "fpir", |f| policy(f, "fpir = 2e-2", "fpir = 0.0")),
    kind("a policy with a rate of 2", LANES, "fmr", |f| policy(f, "fmr = 1e-6", "fmr = 2.0")),
    kind("a policy with an infinite rate", LANES, "fmr", |f| policy(f, "fmr = 1e-6", "fmr = inf")),
    kind("a policy with a margin below 0", LANES, "margin", |f| policy(f, "margin = 0.05", "margin = -0.05")),
    kind("a policy without time", LANES, "budget-ms", |f| policy(f, "budget-ms = 5000", "budget-ms = 0")),
    kind("a policy with a rule of fusion that is none", LANES, "oracle", |f| policy(f, "face-only", "oracle")),
    kind("a policy with a rule of fusion for evidence that it has not", LANES, "fusion", |f| {
        policy(f, "\"face-only\"", "\"both\"");
    }),
    kind("a policy with a coverage beyond 1", LANES, "coverage", |f| policy(f, "coverage = 1.0", "coverage = 1.5")),
    kind("a policy with no source for a rule", LANES, "source", |f| {
        policy(f, "coverage = 1.0\nsource", "coverage = 1.0\n# source");
    }),
    // Lists of people and of pictures.
    kind("a list with a column that is none", ENROL, "brith", |f| {
        list(f, "subject,image,brith\na,face.jpg,2000-01-01\n");
    }),
    kind("a list with a column twice", ENROL, "image", |f| list(f, "subject,image,image\na,face.jpg,face.jpg\n")),
    kind("a list without a column that it needs", ENROL, "image", |f| list(f, "subject,birth\na,2000-01-01\n")),
    kind("a list with a field too few", ENROL, "line 3", |f| list(f, "subject,image\na,face.jpg\nb\n")),
    kind("a list with a quote that is never closed", ENROL, "never closed", |f| {
        list(f, "subject,image\na,\"face.jpg\n");
    }),
    kind("a list with a day that is none", ENROL, "birth", |f| list(f, "subject,image,birth\na,face.jpg,2000-02-30\n")),
    kind("a list with two birthdays for one person", ENROL, "birth", |f| {
        list(f, "subject,image,birth\na,face.jpg,2000-01-01\na,live.jpg,2000-01-02\n");
    }),
    kind("a list that is not UTF-8", ENROL, "list.csv", |f| {
        drop(file(f, "list.csv", b"subject,image\n\xff,face.jpg\n"));
    }),
    kind("a list with a picture that is missing", ENROL, "none.jpg", |f| list(f, "subject,image\na,none.jpg\n")),
    kind("a list with nobody", ENROL, "list.csv", |f| list(f, "subject,image\n")),
    kind("a queue with a file that is no picture", LANES, "line 2", |f| {
        fs::write(f.join("queue.txt"), "live.jpg\nletter\n").unwrap();
    }),
    kind("a queue with nobody", LANES, "queue.txt", |f| fs::write(f.join("queue.txt"), "\n").unwrap()),
    kind(
        "a person's folder without pictures",
        "enrol people --without-policy --register port.register --key-file port.key",
        "carl",
        |f| {
            fs::create_dir(f.join("people/carl")).unwrap();
        },
    ),
    // Imports.
    kind("an import with a line that is no JSON", IMPORT, "", |f| lines(f, "nobody\n")),
    kind("an import with a field that is none", IMPORT, "", |f| lines(f, "{\"key\": \"a\", \"colour\": \"red\"}\n")),
    kind("an import without a key", IMPORT, "", |f| lines(f, "{\"birth\": \"2000-01-01\"}\n")),
    kind("an import with an empty key", IMPORT, "", |f| lines(f, "{\"key\": \"\"}\n")),
    kind("an import with a category that is none", IMPORT, "", |f| {
        lines(f, "{\"key\": \"a\", \"category\": \"martian\"}\n");
    }),
    kind("an import with a template of another model", IMPORT, "", |f| {
        lines(f, "{\"key\": \"a\", \"templates\": [{\"model\": \"00\", \"values\": [1.0]}]}\n");
    }),
    // Models.
    kind("a manifest that is no TOML", "models list --models models", "line 1", |f| {
        drop(file(f, "models/manifest.toml", b"= 3\n"));
    }),
    kind("a manifest with a key that is none", "models list --models models", "line 6", |f| {
        manifest(f, "licence", "licens");
    }),
    kind("a manifest with a digest that is none", "models list --models models", "sha256", |f| {
        manifest(f, "00000000", "");
    }),
    kind("a manifest with a file outside of the folder", "models list --models models", "finder", |f| {
        manifest(f, "finder.onnx", "../finder.onnx");
    }),
    kind("a manifest with a picture of no width", "models list --models models", "finder", |f| {
        manifest(f, "width = 320", "width = 0");
    }),
    kind("a manifest with a deviation of 0", "models list --models models", "finder", |f| {
        manifest(f, "std = [1.0", "std = [0.0");
    }),
    kind("a manifest with a threshold of NaN", "models list --models models", "finder", |f| {
        manifest(f, "score_threshold = 0.5", "score_threshold = nan");
    }),
    kind("a model whose file is missing", "inspect face.jpg --models models --detector finder", "finder", |f| {
        manifest(f, "rgb", "rgb");
    }),
    kind("a model of another digest", "inspect face.jpg --models models --detector finder", "SHA-256", |f| {
        manifest(f, "rgb", "rgb");
        file(f, "models/finder.onnx", b"no network at all");
    }),
    kind("a model that is a letter", "models add letter --models models", "letter", nothing),
    // Claims.
    kind(
        "a picture without a claim",
        "claim read face.jpg --issuer issuer.pem.pub --register port.register --port shenzhen-bay --key-file port.key",
        "face.jpg",
        nothing,
    ),
    kind(
        "an issuer's key that is none",
        "claim issue ada --port shenzhen-bay --issuer letter --register port.register --key-file port.key",
        "letter",
        nothing,
    ),
];
