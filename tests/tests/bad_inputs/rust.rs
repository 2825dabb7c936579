//! The Rust libraries: what each refusal is as a type, and what it says.

use std::error::Error;
use std::fmt::Debug;
use std::fs;

use clearlane::{
    ClaimIssuer, ClaimVerifier, Direction, Frame, PixelFormat, Policy, Population, Port as OpenPort, PortId,
    PortOptions,
};
use clearlane_embed::{AlignedFace, Component, DecodeLimits, Detector, Extractor, Manifest, Models, Point};
use clearlane_infer::{Network, Options};
use clearlane_match::{Gallery, GalleryError, Mode, SearchOptions};
use clearlane_store::{Enrolment, Key, KeyFile, Keyring, Register};
use clearlane_template::{MAX_DIMENSION, ModelId, SubjectId, Template, TemplateId};
use ndarray::Array4;

use crate::common::{fictional, page};
use crate::port::{Port, steady};

/// The rows of the page: what is wrong with what, the error's type and variant, and its words.
#[derive(Default)]
struct Table {
    rows: Vec<Vec<String>>,
    /// Calls that take what is wrong, or leave open what it is.
    unclear: Vec<String>,
}

impl Table {
    fn refused<T, E: Error + Debug>(&mut self, call: &str, input: &str, result: Result<T, E>) {
        let Err(error) = result else {
            self.unclear.push(format!("{call}, {input}: it is taken"));
            return;
        };
        let debug = format!("{error:?}");
        let variant = debug.split(|character: char| !character.is_alphanumeric()).next().unwrap();
        let kind = std::any::type_name::<E>().rsplit("::").next().unwrap();
        let kind = if kind == variant { kind.to_owned() } else { format!("{kind}::{variant}") };
        let mut words = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            if !words.contains(&error.to_string()) {
                words = format!("{words}: {error}");
            }
            cause = error.source();
        }
        if words.len() <= 10 {
            self.unclear.push(format!("{call}, {input}: {words}"));
        }
        let words = steady(&words);
        self.rows.push(vec![format!("`{call}`"), input.to_owned(), format!("`{kind}`"), words]);
    }
}

fn model(byte: u8) -> ModelId {
    ModelId::from_bytes([byte; 32])
}

fn unit(byte: u8, dimension: usize) -> Template {
    Template::normalised(model(byte), vec![1.0; dimension]).unwrap()
}

#[test]
fn whatever_a_rust_caller_gives_wrong_gets_what_the_page_says() {
    let mut table = Table::default();
    table.rows.push(["call", "input", "error", "it says"].map(str::to_owned).to_vec());
    frames(&mut table);
    pictures(&mut table);
    templates(&mut table);
    galleries(&mut table);
    models(&mut table);
    words(&mut table);
    ports(&mut table);
    assert!(table.unclear.is_empty(), "{}", table.unclear.join("\n"));
    page::hold("docs/bad-inputs.md", "Rust", &table.rows);
}

fn frames(table: &mut Table) {
    use PixelFormat::{Bgra8, Gray8, Gray16, I420, Nv12, P010, Rgb8, Uyvy, Yuyv};
    let call = "Frame::new";
    for (input, format, width, height, stride, length) in [
        ("no columns", Rgb8, 0, 8, 0, 0),
        ("no rows", Gray8, 8, 0, 8, 0),
        ("more columns than any camera has", Gray8, 32_769, 1, 32_769, 32_769),
        ("2³² - 1 pixels each way", Bgra8, u32::MAX, u32::MAX, usize::MAX, 0),
        ("a stride below a row", Rgb8, 8, 8, 23, 192),
        ("a stride of 0", Gray8, 8, 8, 0, 64),
        ("a stride that overflows", Gray8, 8, 8, usize::MAX, 64),
        ("no bytes", Rgb8, 8, 8, 24, 0),
        ("a byte too few", Rgb8, 8, 8, 24, 191),
        ("16 bits a sample in bytes for 8", Gray16, 8, 8, 16, 64),
        ("NV12 without its chroma", Nv12, 8, 8, 8, 64),
        ("I420 without its last plane", I420, 8, 8, 8, 80),
        ("P010 with a stride in samples", P010, 8, 8, 8, 192),
        ("YUYV of an odd width, a byte too few", Yuyv, 7, 8, 16, 127),
        ("UYVY with half a stride", Uyvy, 8, 8, 8, 128),
    ] {
        table.refused(call, input, Frame::new(format, width, height, stride, vec![0; length]));
    }
    let planes = Frame::nv12(8, 8, (vec![0; 64], 8), (vec![0; 31], 8));
    table.refused("Frame::nv12", "a chroma plane a byte too short", planes);
}

fn pictures(table: &mut Table) {
    let limits = DecodeLimits::default();
    let folder = tempfile::tempdir().unwrap();
    let jpeg = fs::read(fictional("enrolled/f0000/enrol.jpg")).unwrap();
    let call = "Frame::decode";
    table.refused(call, "no bytes", Frame::decode(&[], &limits));
    table.refused(call, "text", Frame::decode(b"Dear Sir or Madam", &limits));
    table.refused(call, "a JPEG cut short", Frame::decode(&jpeg[..jpeg.len() / 2], &limits));
    table.refused(call, "a JPEG's first bytes", Frame::decode(&jpeg[..4], &limits));
    table.refused(call, "more pixels than the limit", Frame::decode(&jpeg, &limits.with_max_pixels(100)));
    table.refused("Frame::open", "no such file", Frame::open(folder.path().join("none.jpg"), &limits));
    table.refused("Frame::open", "a folder", Frame::open(folder.path(), &limits));
    let models = Models::builtin().unwrap();
    let detector = models.detector(models.default_detector().unwrap()).unwrap();
    let extractor = Extractor::new(detector, models.embedder(models.default_embedder().unwrap()).unwrap());
    let grey = Frame::rgb8(160, 120, vec![128; 160 * 120 * 3]).unwrap();
    table.refused("Extractor::extract", "nobody", extractor.extract(&grey));
    let pixel = Frame::rgb8(1, 1, vec![128; 3]).unwrap();
    table.refused("Extractor::extract", "one pixel", extractor.extract(&pixel));
    let call = "AlignedFace::cut";
    let points = |x: f32| {
        [
            Point::new(x, 10.0),
            Point::new(30.0, 10.0),
            Point::new(20.0, 20.0),
            Point::new(12.0, 30.0),
            Point::new(28.0, 30.0),
        ]
    };
    table.refused(call, "a landmark that is no number", AlignedFace::cut(&grey, &points(f32::NAN)));
    table.refused(call, "landmarks in one place", AlignedFace::cut(&grey, &[Point::new(5.0, 5.0); 5]));
}

fn templates(table: &mut Table) {
    let call = "Template::normalised";
    table.refused(call, "no values", Template::normalised(model(1), vec![]));
    table.refused(call, "too many values", Template::normalised(model(1), vec![1.0; MAX_DIMENSION + 1]));
    table.refused(call, "NaN", Template::normalised(model(1), vec![1.0, f32::NAN]));
    table.refused(call, "infinity", Template::normalised(model(1), vec![f32::INFINITY, 1.0]));
    table.refused(call, "zeros", Template::normalised(model(1), vec![0.0; 8]));
    table.refused("Template::from_unit", "a vector of norm 2", Template::from_unit(model(1), vec![2.0, 0.0]));
    let bytes = unit(1, 8).to_bytes();
    table.refused("Template::from_bytes", "a byte too few", Template::from_bytes(&bytes[..bytes.len() - 1]));
    table.refused("Template::from_bytes", "no bytes", Template::from_bytes(&[]));
    table.refused("Template::score", "another model's template", unit(1, 8).score(&unit(2, 8)));
    table.refused("Template::score", "a template of another dimension", unit(1, 8).score(&unit(1, 9)));
    table.refused("Template::mean", "no templates", Template::mean([]));
    table.refused("Template::mean", "opposite templates", {
        let turned = Template::normalised(model(1), vec![-1.0; 8]).unwrap();
        Template::mean([&unit(1, 8), &turned])
    });
}

fn galleries(table: &mut Table) {
    let call = "GalleryBuilder::build";
    table.refused(call, "a dimension of 0", Gallery::builder(model(1), 0).build());
    table.refused(call, "a dimension beyond any template's", Gallery::builder(model(1), MAX_DIMENSION + 1).build());
    table.refused(call, "codes of a byte", Gallery::builder(model(1), 512).code_budget(1).build());
    let gallery = Gallery::builder(model(1), 8).build().unwrap();
    let (subject, id) = (SubjectId(1), TemplateId(1));
    gallery.add(subject, id, &unit(1, 8)).unwrap();
    let call = "Gallery::add";
    table.refused(call, "another model's template", gallery.add(subject, TemplateId(2), &unit(2, 8)));
    table.refused(call, "a template of another dimension", gallery.add(subject, TemplateId(2), &unit(1, 9)));
    table.refused(call, "an id twice", gallery.add(subject, id, &unit(1, 8)));
    let full = Gallery::builder(model(1), 8).memory_limit(1).build().unwrap();
    table.refused(call, "more than the memory that is allowed", full.add(subject, id, &unit(1, 8)));
    let call = "Gallery::extend_rows";
    let two = TemplateId(2);
    table.refused(call, "a value too few", gallery.extend_rows(&[(subject, two)], &[1.0; 7]));
    table.refused(call, "a row of zeros", gallery.extend_rows(&[(subject, two)], &[0.0; 8]));
    table.refused(call, "a row with NaN", gallery.extend_rows(&[(subject, two)], &[f32::NAN; 8]));
    table.refused("Gallery::try_reserve", "all the memory that there could be", gallery.try_reserve(usize::MAX / 64));
    table.refused("Gallery::remove", "an id that nobody has", gallery.remove(TemplateId(9)));
    table.refused("Gallery::replace", "an id that nobody has", gallery.replace(TemplateId(9), two, &unit(1, 8)));
    table.refused("Gallery::revoke", "a subject that is none", gallery.revoke(SubjectId(9)));
    let search =
        |options: SearchOptions<'_>, probe: &Template| -> Result<_, GalleryError> { gallery.search(probe, &options) };
    let (ten, probe) = (SearchOptions::new(10), unit(1, 8));
    let call = "Gallery::search";
    table.refused(call, "no candidates asked for", search(SearchOptions::new(0), &probe));
    table.refused(call, "a threshold of 2", search(SearchOptions { threshold: 2.0, ..ten }, &probe));
    table.refused(call, "a threshold of NaN", search(SearchOptions { threshold: f32::NAN, ..ten }, &probe));
    table.refused(
        call,
        "a miss probability of 0",
        search(SearchOptions { mode: Mode::Sketch { miss: 0.0 }, ..ten }, &probe),
    );
    table.refused(call, "another model's probe", search(ten, &unit(2, 8)));
    table.refused(call, "a probe of another dimension", search(ten, &unit(1, 9)));
    assert_eq!(gallery.len(), 1);
}

fn models(table: &mut Table) {
    let mut models = Models::builtin().unwrap();
    let folder = tempfile::tempdir().unwrap();
    table.refused("Models::add_folder", "no such folder", models.add_folder(folder.path().join("none")));
    fs::write(folder.path().join("manifest.toml"), "[[model]]\nname = 3\n").unwrap();
    table.refused("Models::add_folder", "a manifest with a number for a name", models.add_folder(folder.path()));
    table.refused("Models::detector", "a name that is none", models.detector("oracle").map(drop));
    let embedder = models.default_embedder().unwrap();
    table.refused("Models::detector", "an embedder's name", models.detector(embedder).map(drop));
    table.refused("Manifest::parse", "another file", Manifest::parse("Dear Sir"));
    let detector = models.default_detector().unwrap();
    let sized =
        |side| models.detector(detector).and_then(|detector: Detector| detector.with_input_size(side)).map(drop);
    table.refused("Detector::with_input_size", "a side of a million", sized(1_000_000));
    let onnx = models.read(embedder).unwrap().into_owned();
    let call = "Network::from_onnx";
    table.refused(call, "no bytes", Network::from_onnx(&[], [3, 112, 112]).map(drop));
    table.refused(call, "text", Network::from_onnx(b"Dear Sir or Madam", [3, 112, 112]).map(drop));
    table.refused(call, "a model cut short", Network::from_onnx(&onnx[..1000], [3, 112, 112]).map(drop));
    table.refused(call, "a shape of zeros", Network::from_onnx(&onnx, [0, 0, 0]).map(drop));
    table.refused(call, "another shape than the graph's", Network::from_onnx(&onnx, [1, 7, 7]).map(drop));
    let network = Network::with_options(&onnx, [3, 112, 112], &Options::default()).unwrap();
    table.refused("Network::run", "a batch of none", network.run(Array4::zeros([0, 3, 112, 112]).view()).map(drop));
    table.refused(
        "Network::run",
        "a picture of another size",
        network.run(Array4::zeros([1, 3, 112, 111]).view()).map(drop),
    );
}

/// Words, keys and texts that are parsed.
fn words(table: &mut Table) {
    table.refused("ModelId::from_str", "no digits", "model".parse::<ModelId>());
    table.refused("PortId::from_str", "spaces and capitals", "Shenzhen Bay".parse::<PortId>());
    table.refused("PortId::from_str", "nothing", "".parse::<PortId>());
    table.refused("Population::from_str", "a space", "everybody else".parse::<Population>());
    table.refused("Component::from_str", "a component that is none", "Beauty".parse::<Component>());
    table.refused("Key::from_str", "too few digits", "abcdef".parse::<Key>().map(drop));
    table.refused("Keyring::parse", "nothing", Keyring::parse("").map(drop));
    table.refused("Keyring::parse", "letters beyond f", Keyring::parse(&"x".repeat(64)).map(drop));
    table.refused("Policy::from_toml", "nothing", Policy::from_toml(""));
    table.refused("ClaimIssuer::from_pem", "text", ClaimIssuer::from_pem("Dear Sir").map(drop));
    table.refused("ClaimVerifier::trust_pem", "text", ClaimVerifier::default().trust_pem("Dear Sir"));
}

fn ports(table: &mut Table) {
    let port = Port::new();
    let keys = || KeyFile::open(port.path("port.key")).unwrap();
    table.refused("KeyFile::open", "no such file", KeyFile::open(port.path("none.key")).map(drop));
    table.refused("KeyFile::open", "a letter", KeyFile::open(port.path("letter")).map(drop));
    table.refused("Register::open", "no such file", Register::open(port.path("none.register"), keys()).map(drop));
    table.refused("Register::open", "a letter", Register::open(port.path("letter"), keys()).map(drop));
    table.refused("Register::open", "a folder", Register::open(port.path("folder"), keys()).map(drop));
    table.refused("Register::open", "another register's key", {
        Register::open(port.path("port.register"), KeyFile::open(port.path("other.key")).unwrap()).map(drop)
    });
    table.refused(
        "Register::create",
        "a file that is there",
        Register::create(port.path("port.register"), keys()).map(drop),
    );
    let register = Register::open(port.path("port.register"), keys()).unwrap();
    table.refused("Register::enrol", "a name that somebody has", register.enrol(&Enrolment::new("ada")));
    table.refused("Register::enrol", "no name", register.enrol(&Enrolment::new("")));
    table.refused("Register::enrol", "a name of 10,000 letters", register.enrol(&Enrolment::new("x".repeat(10_000))));
    table.refused("Register::revoke", "a subject that is none", register.revoke(SubjectId(999), "a test"));
    table.refused(
        "Register::add_templates",
        "a subject that is none",
        register.add_templates(SubjectId(999), &[unit(1, 8).into()]),
    );
    let options = || PortOptions::new(port.path("port.register")).keys(keys());
    let open = |options: PortOptions| OpenPort::open(options).map(drop);
    table.refused("Port::open", "no such policy", open(options().policy_file(port.path("none.toml"))));
    table.refused("Port::open", "a policy that is a letter", open(options().policy_file(port.path("letter"))));
    table.refused(
        "Port::open",
        "a port that the policy has not",
        open(options().policy_file(port.path("policy.toml")).port("gongbei".parse().unwrap())),
    );
    table.refused("Port::open", "a folder of models that is none", open(options().models(port.path("none"))));
    table.refused("Port::open", "a detector that is none", open(options().detector("oracle")));
    table.refused("Port::open", "a PAD model that is none", open(options().pad(["oracle"])));
    table.refused("Port::open", "an issuer's key that is a letter", open(options().claim_issuer(port.path("letter"))));
    let opened = OpenPort::open(options().policy_file(port.path("policy.toml"))).unwrap();
    table.refused("Port::lane", "no name", opened.lane("", Direction::Exit).map(drop));
    table.refused("Port::lane", "a name of 65 letters", opened.lane("x".repeat(65), Direction::Exit).map(drop));
    table.refused("Port::identify_options", "a rate of 0", opened.identify_options(0.0, 0.05));
    table.refused("Port::identify_options", "a rate of NaN", opened.identify_options(f64::NAN, 0.05));
}
