//! All that the frames of a passage show is judged: who is in them, how many, and whether an attack is among them. On the
//! fictional people and the built-in models, with a PAD model that takes bright pictures for live faces.
#![cfg(feature = "builtin")]
#![allow(clippy::unwrap_used)]

mod common;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clearlane::{
    Application, Calibration, Decision, Direction, Enroller, EnrolmentOutcome, Lane, Picture, Policy, Reason,
    References,
};
use clearlane_embed::{Component, DecodeLimits, ExtractError, Extractor, Frame, Models, Selection};
use clearlane_store::Enrolment;
use clearlane_template::SubjectId;
use common::{Port, eligible, now};

const TRAVELLER: &str = "f0000";
const OTHER: &str = "f0003";

#[test]
fn a_second_person_in_frames_that_are_too_poor_for_the_probe_is_no_passage() {
    let gate = Gate::open();
    let lane = gate.lane(&gate.sharp());
    let (good, poor) = (picture(TRAVELLER, "enrol"), blurred(&picture(OTHER, "enrol")));
    assert_eq!(gate.pass(&lane, std::slice::from_ref(&poor)), Err(vec!["quality-too-low"]));
    assert_eq!(gate.pass(&lane, &[good.clone(), good.clone(), good.clone()]), Ok(()));
    let three = [good.clone(), good.clone(), good.clone()];
    let nine = vec![poor.clone(); 9];
    assert_eq!(gate.pass(&lane, &[&three[..], &nine].concat()), Err(vec!["frames-disagree"]));
    assert_eq!(gate.pass(&lane, &[&nine[..], &three].concat()), Err(vec!["frames-disagree"]));
    assert_eq!(gate.pass(&lane, &[good.clone(), poor, good.clone()]), Err(vec!["frames-disagree"]));
    // A good frame that is not among the best counts as well: the policy takes one.
    assert_eq!(gate.pass(&lane, &[good.clone(), picture(OTHER, "enrol")]), Err(vec!["frames-disagree"]));
    // The traveller's own poor frames do no harm.
    assert_eq!(gate.pass(&lane, &[blurred(&good), good.clone(), picture(TRAVELLER, "plain-1")]), Ok(()));
}

#[test]
fn a_second_person_whose_face_is_cut_or_too_small_is_no_passage() {
    let gate = Gate::open();
    let lane = gate.lane("");
    let good = picture(TRAVELLER, "enrol");
    let cut = (0..200).step_by(10).map(|left| cropped(&picture(OTHER, "enrol"), left));
    let cut = cut.into_iter().find(|frame| matches!(gate.extractor.extract(frame), Err(ExtractError::FaceCut { .. })));
    let cut = cut.expect("no crop cuts the face");
    assert_eq!(gate.pass(&lane, std::slice::from_ref(&cut)), Err(vec!["face-cut"]));
    assert_eq!(gate.pass(&lane, &[good.clone(), cut]), Err(vec!["frames-disagree"]));

    let strict = gate.extractor.clone().with_minimum_eye_distance(40.0);
    let lane = gate.lane_of(strict, "");
    let small = beside(&grey(180), &smaller(&picture(OTHER, "enrol"), 2));
    assert_eq!(gate.pass(&lane, std::slice::from_ref(&small)), Err(vec!["face-too-small"]));
    assert_eq!(gate.pass(&lane, &[good.clone(), small]), Err(vec!["frames-disagree"]));
    assert_eq!(gate.pass(&lane, &[good]), Ok(()));
}

#[test]
fn a_further_face_is_let_through_up_to_the_size_that_the_policy_states_and_in_no_frame_above_it() {
    let gate = Gate::open();
    let alone = picture(TRAVELLER, "enrol");
    let two = beside(&alone, &smaller(&picture(OTHER, "enrol"), 2));
    let faces = gate.extractor.detector().detect(&two).unwrap();
    let mut areas: Vec<_> = faces.iter().map(|face| face.bounding_box.width() * face.bounding_box.height()).collect();
    areas.sort_by(f32::total_cmp);
    assert_eq!(areas.len(), 2);
    let size = (areas[0] / areas[1]).sqrt();
    assert!((0.3..0.7).contains(&size), "{size}");
    let rules = |most: f32, quality: &str| {
        format!(
            "second-face = 0.5 => second-face = {most:.3}\nquality = {{ InterEyeDistance = 20 }} => quality = {quality}"
        )
    };
    // Whatever components of quality the policy lists, one that no such frame reaches included.
    let sharp = gate.sharpest();
    for quality in
        ["{}", "{ SingleFacePresent = 1 }", "{ SingleFacePresent = 90 }", &format!("{{ Sharpness = {sharp} }}")]
    {
        let lane = gate.lane(&rules(size - 0.01, quality));
        let blurred = blurred(&two);
        assert_eq!(gate.pass(&lane, std::slice::from_ref(&alone)), Ok(()), "{quality}");
        for frames in [vec![two.clone()], vec![alone.clone(), two.clone()], vec![blurred, alone.clone()]] {
            assert_eq!(gate.pass(&lane, &frames), Err(vec!["several-faces"]), "{quality}");
        }
    }
    let lane = gate.lane(&rules(size + 0.01, "{}"));
    assert_eq!(gate.pass(&lane, &[two.clone(), alone.clone()]), Ok(()));
    // Where the face in the middle is taken, a larger one beside it is a further face.
    let central = gate.extractor.clone().with_selection(Selection::Central);
    let aside = beside(&beside(&alone, &smaller(&picture(TRAVELLER, "enrol"), 2)), &grey(180));
    assert!(central.extract(&aside).unwrap().second.unwrap() > 1.0);
    assert_eq!(gate.pass(&gate.lane_of(central, &rules(0.99, "{}")), &[aside]), Err(vec!["several-faces"]));
}

#[test]
fn an_attack_in_any_frame_with_a_face_counts_and_not_only_in_those_of_the_probe() {
    let gate = Gate::open();
    let mut models = Models::builtin().unwrap();
    models.add_folder(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/pad")).unwrap();
    let assessing = gate.extractor.clone().with_pad(models.pad(["bright"]).unwrap());
    let (bright, dark) = (picture(TRAVELLER, "enrol"), darkened(&picture(TRAVELLER, "enrol")));
    let dark_and_poor = blurred(&dark);
    let rule = |pad: &str| format!("pad = \"if-assessed\" => pad = \"{pad}\"\n{}", gate.sharp());
    for pad in ["required", "if-assessed"] {
        let lane = gate.lane_of(assessing.clone(), &rule(pad));
        assert_eq!(gate.pass(&lane, std::slice::from_ref(&bright)), Ok(()), "{pad}");
        for attack in [&dark, &dark_and_poor] {
            for frames in [[bright.clone(), attack.clone()], [attack.clone(), bright.clone()]] {
                assert_eq!(gate.pass(&lane, &frames), Err(vec!["pad-failed"]), "{pad}");
            }
        }
    }
    let off = gate.lane_of(assessing, &rule("off"));
    assert_eq!(gate.pass(&off, &[bright.clone(), dark]), Ok(()));
    // Without a model nothing is assessed.
    for (pad, found) in [("required", Err(vec!["pad-not-assessed"])), ("if-assessed", Ok(())), ("off", Ok(()))] {
        assert_eq!(gate.pass(&gate.lane(&rule(pad)), std::slice::from_ref(&bright)), found, "{pad}");
    }
}

#[test]
fn an_application_shows_one_person_in_all_its_pictures_the_poor_ones_included() {
    let gate = Gate::open();
    let floors =
        "quality = { SingleFacePresent = 50, InterEyeDistance = 20, EyesVisible = 98, MouthOcclusionPrevention = 60 }";
    let policy = policy(&format!("{floors} => quality = {{ Sharpness = {} }}", gate.sharpest()));
    let enroller =
        Enroller::new(policy.into(), gate.references.clone(), gate.extractor.clone(), &gate.calibration).unwrap();
    let enrol = |key: &str, frames: &[Frame<'static>]| {
        let pictures = frames.iter().map(|frame| Picture { frame: frame.clone(), source: None }).collect();
        let application = Application { key: key.to_owned(), details: eligible(), pictures };
        match enroller.enrol(&application, now()).unwrap() {
            EnrolmentOutcome::Refer { reasons } => Err(reasons.iter().map(Reason::code).collect::<Vec<_>>()),
            _ => Ok(()),
        }
    };
    let good = picture(OTHER, "enrol");
    let another = blurred(&picture("f0001", "enrol"));
    assert_eq!(enrol("another", std::slice::from_ref(&another)), Err(vec!["quality-too-low"]));
    assert_eq!(enrol("mixed", &[good.clone(), another]), Err(vec!["frames-disagree"]));
    assert_eq!(enrol("one", &[good.clone(), blurred(&good)]), Ok(()));
}

/// A port with one enrolled traveller.
struct Gate {
    extractor: Extractor,
    calibration: Calibration,
    references: Arc<References>,
    subject: SubjectId,
    _port: Port,
}

impl Gate {
    fn open() -> Self {
        let (extractor, calibration) = common::builtin();
        let extractor = extractor.with_occlusion(Models::builtin().unwrap().any_occlusion().unwrap().unwrap());
        let template = extractor.extract(&picture(TRAVELLER, "enrol")).unwrap().template;
        let port = Port::with(0);
        let model = template.model();
        let enrolment = Enrolment::new(TRAVELLER).with_details(eligible()).with_template(template);
        let subject = port.register.enrol(&enrolment).unwrap().0;
        let references = Arc::new(References::load(port.register.clone(), model, |_, _| {}).unwrap());
        references.check(|_, _| {}).unwrap();
        Self { extractor, calibration, references, subject, _port: port }
    }

    fn lane(&self, changes: &str) -> Lane {
        self.lane_of(self.extractor.clone(), changes)
    }

    fn lane_of(&self, extractor: Extractor, changes: &str) -> Lane {
        clearlane::Port::builder(self.references.clone())
            .policy(policy(changes))
            .port("shenzhen-bay".parse().unwrap())
            .calibration(self.calibration.clone())
            .extractor(extractor)
            .clock(now)
            .build()
            .unwrap()
            .lane("lane 1", Direction::Exit)
            .unwrap()
    }

    /// A floor of sharpness that the pictures of these tests reach, and blurred ones do not.
    fn sharpest(&self) -> u8 {
        let sharpness = |frame: &Frame<'_>| {
            let quality = self.extractor.extract(frame).unwrap().quality;
            quality.get(Component::Sharpness).unwrap().value
        };
        let pictures =
            [(TRAVELLER, "enrol"), (TRAVELLER, "plain-1"), (OTHER, "enrol")].map(|(p, name)| picture(p, name));
        let floor = pictures.iter().map(sharpness).min().unwrap();
        assert!(pictures.iter().all(|picture| sharpness(&blurred(picture)) < floor));
        floor
    }

    fn sharp(&self) -> String {
        format!("quality = {{ InterEyeDistance = 20 }} => quality = {{ Sharpness = {} }}", self.sharpest())
    }

    /// Whether the traveller is admitted, or the codes of the reasons why not.
    fn pass(&self, lane: &Lane, frames: &[Frame<'_>]) -> Result<(), Vec<&'static str>> {
        match lane.pass(frames, &[], Some(Duration::from_mins(5))).decision {
            Decision::Admit { subject } => {
                assert_eq!(subject, self.subject);
                Ok(())
            }
            Decision::Refer { reasons, .. } => Err(reasons.iter().map(Reason::code).collect()),
        }
    }
}

/// The demonstration's policy with `changes`.
fn policy(changes: &str) -> Policy {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../policies/demonstration.toml");
    common::changed(&std::fs::read_to_string(path).unwrap(), changes)
}

fn picture(person: &str, name: &str) -> Frame<'static> {
    let folder: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../datasets/fictional/enrolled");
    Frame::open(folder.join(person).join(format!("{name}.jpg")), &DecodeLimits::default()).unwrap()
}

/// A frame of `width` × `height` whose pixel at (x, y) is what `colour` says.
fn drawn(width: usize, height: usize, colour: impl Fn(usize, usize) -> [u8; 3]) -> Frame<'static> {
    let pixels =
        (0..height).flat_map(|y| (0..width).map(move |x| (x, y))).flat_map(|(x, y)| colour(x, y)).collect::<Vec<_>>();
    Frame::rgb8(width as u32, height as u32, pixels).unwrap()
}

/// A picture's width and height, and its pixels.
fn pixels(frame: &Frame<'_>) -> (usize, usize, impl Fn(usize, usize) -> [u8; 3]) {
    let (width, height, rgb) = (frame.width() as usize, frame.height() as usize, frame.to_rgb8().into_owned());
    (width, height, move |x, y| rgb[3 * (y * width + x)..][..3].try_into().unwrap())
}

fn grey(side: usize) -> Frame<'static> {
    drawn(side, side, |_, _| [128; 3])
}

/// The mean of `side` × `side` pixels from (x, y) on, within the picture.
fn mean(
    at: &impl Fn(usize, usize) -> [u8; 3],
    columns: std::ops::Range<usize>,
    rows: std::ops::Range<usize>,
) -> [u8; 3] {
    let count = columns.len() * rows.len();
    let mut sum = [0_usize; 3];
    for y in rows {
        for pixel in columns.clone().map(|x| at(x, y)) {
            sum.iter_mut().zip(pixel).for_each(|(sum, value)| *sum += usize::from(value));
        }
    }
    sum.map(|sum| (sum / count) as u8)
}

fn blurred(frame: &Frame<'_>) -> Frame<'static> {
    const RADIUS: usize = 3;
    let (width, height, at) = pixels(frame);
    let around = |place: usize, end: usize| place.saturating_sub(RADIUS)..(place + RADIUS + 1).min(end);
    drawn(width, height, |x, y| mean(&at, around(x, width), around(y, height)))
}

fn smaller(frame: &Frame<'_>, factor: usize) -> Frame<'static> {
    let (width, height, at) = pixels(frame);
    let step = |place: usize| factor * place..factor * (place + 1);
    drawn(width / factor, height / factor, |x, y| mean(&at, step(x), step(y)))
}

fn darkened(frame: &Frame<'_>) -> Frame<'static> {
    let (width, height, at) = pixels(frame);
    drawn(width, height, |x, y| at(x, y).map(|value| value / 4))
}

/// The picture without its `left` columns.
fn cropped(frame: &Frame<'_>, left: usize) -> Frame<'static> {
    let (width, height, at) = pixels(frame);
    drawn(width - left, height, |x, y| at(x + left, y))
}

/// Two pictures beside each other, on grey.
fn beside(left: &Frame<'_>, right: &Frame<'_>) -> Frame<'static> {
    let ((first, high, one), (second, low, two)) = (pixels(left), pixels(right));
    drawn(first + second, high.max(low), |x, y| match x {
        x if x < first && y < high => one(x, y),
        x if x >= first && y < low => two(x - first, y),
        _ => [128; 3],
    })
}
