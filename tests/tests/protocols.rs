//! `clearlane eval` on the forms of public data sets, and kept templates. Faces are fictional: figures say that the right pictures were
//! compared, and nothing about accuracy.
#![allow(clippy::unwrap_used, clippy::format_collect, clippy::format_push_string)]

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use common::pairs::{Named, PEOPLE, eval, faces, labelled, pairs, path, picture};
use common::{clearlane, file, json};
use predicates::str::contains;
use serde_json::Value;

fn numbered() -> String {
    let line = |(left, right): (Named, Named)| {
        if left.0 == right.0 {
            format!("{}\t{}\t{}\n", left.0, left.1, right.1)
        } else {
            format!("{}\t{}\t{}\t{}\n", left.0, left.1, right.0, right.1)
        }
    };
    pairs().into_iter().map(line).collect()
}

/// Everything that was separated is: all faces were found, and the right ones compared.
fn is_separated(figures: &Value, mated: u64, non_mated: u64) {
    assert_eq!((figures["mated"].as_u64(), figures["non_mated"].as_u64()), (Some(mated), Some(non_mated)), "{figures}");
    assert_eq!(figures["auc"], 1.0, "{figures}");
}

#[test]
fn every_form_of_pairs_gives_the_same_figures_of_the_same_pictures() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    faces(root);
    let two_lines: String = pairs()
        .into_iter()
        .flat_map(|(left, right)| {
            [left, right].map(|picture| format!("{} {}\n", path(picture), u8::from(left.0 == right.0)))
        })
        .collect();
    let label_last: String = labelled().lines().map(|line| format!("{} {}\n", &line[2..], &line[..1])).collect();
    let mut all = Vec::new();
    for (format, text) in
        [("lfw", numbered()), ("label-first", labelled()), ("label-last", label_last), ("two-lines", two_lines)]
    {
        let list = file(root, &format!("{format}.txt"), text.as_bytes());
        let run = json(&mut eval(&["pairs"], &[&list]));
        let named = json(&mut eval(&["pairs", "--format", format], &[&list, root]));
        let figures = |run: &Value| run["figures"][format!("{format}.txt")].clone();
        assert_eq!(figures(&run), figures(&named));
        all.push(figures(&run));
    }
    is_separated(&all[0], 4, 4);
    assert!(all.iter().all(|figures| *figures == all[0]), "{all:?}");

    // RFW: two groups, each with these people.
    let rfw = root.join("rfw");
    for group in ["African", "Asian"] {
        faces(&rfw.join("data").join(group));
        file(&rfw, &format!("txts/{group}/{group}_pairs.txt"), numbered().as_bytes());
    }
    let run = json(&mut eval(&["pairs"], &[&rfw]));
    assert_eq!((&run["figures"]["African"], &run["figures"]["Asian"]), (&all[0], &all[0]));

    // CFP: first pictures are frontal ones, second ones profiles; a fold of two people each.
    let cfp = root.join("cfp");
    let mut lists = [String::new(), String::new()];
    for (at, person) in PEOPLE.iter().enumerate() {
        for (pose, number) in [("frontal", 1), ("profile", 2)] {
            file(&cfp, &format!("Data/Images/{person}/{pose}/01.jpg"), &picture(person, number));
            lists[number - 1] += &format!("{} ../Data/Images/{person}/{pose}/01.jpg\n", at + 1);
        }
    }
    file(&cfp, "Protocol/Pair_list_F.txt", lists[0].as_bytes());
    file(&cfp, "Protocol/Pair_list_P.txt", lists[1].as_bytes());
    for fold in 0..2 {
        let (a, b) = (2 * fold + 1, 2 * fold + 2);
        file(&cfp, &format!("Protocol/Split/FP/0{}/same.txt", fold + 1), format!("{a},{a}\n{b},{b}\n").as_bytes());
        file(
            &cfp,
            &format!("Protocol/Split/FP/0{}/diff.txt", fold + 1),
            format!("{a},{b}\n{b},{}\n", b % 4 + 1).as_bytes(),
        );
    }
    let run = json(&mut eval(&["pairs"], &[&cfp]));
    let figures = &run["figures"]["CFP-FP"];
    is_separated(figures, 4, 4);
    assert_eq!(figures["accuracy"]["folds"].as_array().unwrap().len(), 2);
    // The pairs are those of the lists.
    assert_eq!(figures["operating_points"], all[0]["operating_points"]);
}

/// The face of a picture as a packed set has it: 112 x 112, the eyes where the template of ArcFace has them, but for rotation.
fn aligned(person: &str, number: usize) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let jpeg = file(folder.path(), "face.jpg", &picture(person, number));
    let mut inspect = clearlane();
    inspect.arg("inspect").arg(&jpeg);
    let seen = json(&mut inspect);
    let landmarks = find(&seen, "landmarks").unwrap();
    let eye = |at: usize| (landmarks[at]["x"].as_f64().unwrap(), landmarks[at]["y"].as_f64().unwrap());
    let (left, right) = (eye(0), eye(1));
    let scale = (73.53 - 38.29) / (right.0 - left.0).hypot(right.1 - left.1);
    let (x, y) = (f64::midpoint(left.0, right.0) - 55.91 / scale, f64::midpoint(left.1, right.1) - 51.6 / scale);
    let side = (112.0 / scale).round() as u32;
    let face = image::open(&jpeg).unwrap().crop_imm(x.round() as u32, y.round() as u32, side, side);
    let face = face.resize_exact(112, 112, image::imageops::FilterType::Triangle).to_rgb8();
    let mut png = std::io::Cursor::new(Vec::new());
    face.write_to(&mut png, image::ImageFormat::Png).unwrap();
    png.into_inner()
}

/// The first value of this name in a document.
fn find<'v>(value: &'v Value, name: &str) -> Option<&'v Value> {
    match value {
        Value::Object(map) => map.get(name).or_else(|| map.values().find_map(|value| find(value, name))),
        Value::Array(values) => values.iter().find_map(|value| find(value, name)),
        _ => None,
    }
}

/// As Python's pickle writes a list of bytes and one of booleans, by protocol 3.
fn packed(pictures: &[Vec<u8>], labels: &[bool]) -> Vec<u8> {
    let mut bytes = b"\x80\x03]q\x00(".to_vec();
    for picture in pictures {
        bytes.push(b'B');
        bytes.extend((picture.len() as u32).to_le_bytes());
        bytes.extend(picture);
    }
    bytes.extend(b"e]q\x01(");
    bytes.extend(labels.iter().map(|label| if *label { 0x88 } else { 0x89 }));
    bytes.extend(b"e\x86q\x02.");
    bytes
}

#[test]
fn a_packed_set_and_a_list_of_the_same_aligned_pictures_give_the_same_figures() {
    let folder = tempfile::tempdir().unwrap();
    for person in PEOPLE {
        for number in [1, 2] {
            file(folder.path(), &path((person, number)), &aligned(person, number));
        }
    }
    let list = file(folder.path(), "list.txt", labelled().as_bytes());
    let read = |picture| fs::read(folder.path().join(path(picture))).unwrap();
    let pictures: Vec<_> = pairs().into_iter().flat_map(|(left, right)| [read(left), read(right)]).collect();
    let labels: Vec<_> = pairs().into_iter().map(|(left, right)| left.0 == right.0).collect();
    let set = file(folder.path(), "faces.bin", &packed(&pictures, &labels));
    let of_list = json(&mut eval(&["pairs", "--aligned"], &[&list]));
    let of_set = json(&mut eval(&["pairs"], &[&set]));
    is_separated(&of_list["figures"]["list.txt"], 4, 4);
    assert_eq!(of_list["figures"]["list.txt"], of_set["figures"]["faces.bin"]);

    // A picture that is too small to be aligned is a failure to acquire, not an end.
    let mut tiny = std::io::Cursor::new(Vec::new());
    image::RgbImage::new(20, 20).write_to(&mut tiny, image::ImageFormat::Png).unwrap();
    let mut pictures = pictures;
    pictures[0] = tiny.into_inner();
    let set = file(folder.path(), "tiny.bin", &packed(&pictures, &labels));
    let run = json(&mut eval(&["pairs"], &[&set]));
    assert_eq!(
        run["models"]["failed"],
        serde_json::json!(["picture 0: expected an aligned face of 112 x 112 pixels or more, got 20 x 20"])
    );
    eval(&["pairs"], &[&file(folder.path(), "cut.bin", &fs::read(&set).unwrap()[..2000])])
        .assert()
        .code(3)
        .stderr(contains("not whole"));
}

#[test]
fn ijb_templates_are_means_of_their_pictures() {
    let folder = tempfile::tempdir().unwrap();
    let (mut list, mut pairs) = (String::new(), String::new());
    for (at, person) in PEOPLE.iter().enumerate() {
        for number in 1..=3 {
            file(folder.path(), &format!("crop/{at}{number}.jpg"), &picture(person, number));
        }
        // One template of one picture, one of two media.
        list += &format!("{at}1.jpg {at}0 1\n{at}2.jpg {at}1 2\n{at}3.jpg {at}1 3\n{at}3.jpg {at}1 3\n");
        pairs += &format!("{at}0 {at}1 1\n{at}0 {}1 0\n", (at + 1) % 4);
    }
    // A template without a face.
    file(folder.path(), "crop/none.png", &{
        let mut png = std::io::Cursor::new(Vec::new());
        image::RgbImage::new(200, 200).write_to(&mut png, image::ImageFormat::Png).unwrap();
        png.into_inner()
    });
    list += "none.png 99 9\n";
    pairs += "99 00 0\n";
    let list = file(folder.path(), "list.txt", list.as_bytes());
    let pairs = file(folder.path(), "pairs.txt", pairs.as_bytes());
    let run = json(&mut eval(&["templates"], &[&list, &pairs, &folder.path().join("crop")]));
    is_separated(&run["figures"], 4, 5);
    assert_eq!((&run["figures"]["templates"], &run["figures"]["without"]), (&9.into(), &1.into()));
    eval(&["templates"], &[&list, &pairs, &folder.path().join("crop")])
        .assert()
        .success()
        .stdout(contains("9 templates, 1 without a face"));
}

#[test]
fn a_table_is_a_test_of_identification_where_it_has_roles_and_of_all_pairs_where_not() {
    let folder = tempfile::tempdir().unwrap();
    faces(folder.path());
    let table = |name: &str, rows: &[(&str, usize, &str)]| {
        let rows = rows.iter().map(|&(person, number, role)| format!("{},{person},{role},x\n", path((person, number))));
        file(folder.path(), name, format!("picture,subject,role,sex\n{}", rows.collect::<String>()).as_bytes())
    };
    let all: Vec<_> = PEOPLE.iter().flat_map(|&person| [(person, 1, ""), (person, 2, "")]).collect();
    let run = json(&mut eval(&["table"], &[&table("all.csv", &all)]));
    is_separated(&run["figures"], 4, 24);

    let roles: Vec<_> = PEOPLE.iter().flat_map(|&person| [(person, 1, "enrol"), (person, 2, "probe")]).collect();
    let run = json(&mut eval(&["table"], &[&table("closed.csv", &roles)]));
    let figures = &run["figures"];
    assert_eq!((&run["non_mated"], &figures["gallery"]), (&"the mate taken out".into(), &4.into()));
    assert_eq!(
        (&figures["mated"], &figures["non_mated"], &figures["ranks"][0]["rate"]),
        (&4.into(), &4.into(), &1.0.into())
    );

    // The last is not enrolled.
    let run = json(&mut eval(&["table"], &[&table("open.csv", &[&roles[..6], &roles[7..]].concat())]));
    let figures = &run["figures"];
    assert_eq!(run["non_mated"], "subjects who are not enrolled");
    assert_eq!((&figures["gallery"], &figures["mated"], &figures["non_mated"]), (&3.into(), &3.into(), &1.into()));

    eval(&["table"], &[&table("nobody.csv", &roles[..1])]).assert().code(3).stderr(contains("1 enrolled, 0 probes"));
    let unnamed = file(folder.path(), "unnamed.csv", b"picture,subject\na.jpg,\n");
    eval(&["table"], &[&unnamed]).assert().code(3).stderr(contains("`a.jpg` has no subject"));
    let lacking = file(folder.path(), "lacking.csv", b"picture,subject\na.jpg,a\nb.jpg,a\n");
    eval(&["table"], &[&lacking]).assert().code(3).stderr(contains("the data set lacks this image"));
}

#[test]
fn a_search_is_measured_on_templates_of_captures_filled_up_to_each_size() {
    let folder = tempfile::tempdir().unwrap();
    let set = folder.path().join("set");
    faces(&set);
    let rows =
        PEOPLE.iter().flat_map(|&person| [1, 2].map(|number| format!("set/{},{person}\n", path((person, number)))));
    let table = file(folder.path(), "set.csv", format!("picture,subject\n{}", rows.collect::<String>()).as_bytes());
    let run = |source: &Path| {
        let mut command = clearlane();
        command
            .args(["bench", "search", "--sizes", "4,2000", "--modes", "exhaustive,certified", "--faces"])
            .arg(source);
        json(command.arg("--keep").arg(folder.path().join("kept")))
    };
    for report in [run(&set), run(&table)] {
        let rows = report["rows"].as_array().unwrap();
        let sizes: Vec<_> = rows.iter().map(|row| row["size"].as_u64().unwrap()).collect();
        assert_eq!(sizes, [4, 4, 2000, 2000]);
        // Everybody's first capture is a probe, the second one stands in the gallery.
        assert!(rows.iter().all(|row| row["searches"] == 4 && row["recall"] == 1.0), "{report}");
    }
    let nobody = folder.path().join("nobody");
    fs::create_dir(&nobody).unwrap();
    let mut command = clearlane();
    command.args(["bench", "search", "--faces"]).arg(&nobody).assert().code(3).stderr(contains("got none"));
}

mod kept {
    use super::*;

    fn packs(folder: &Path) -> Vec<PathBuf> {
        let mut packs: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        packs.sort();
        packs
    }

    /// A run on the labelled list in `folder`: its figures, and how many templates were kept ones.
    fn run(folder: &Path, more: &[&str]) -> (Value, u64) {
        let list = folder.join("list.txt");
        if !list.exists() {
            file(folder, "list.txt", labelled().as_bytes());
        }
        let mut command = eval(&["pairs"], &[&list]);
        let run = json(command.arg("--keep").arg(folder.join("kept")).args(more));
        (run["figures"].clone(), run["models"]["kept"].as_u64().unwrap())
    }

    #[test]
    fn a_second_run_takes_what_the_first_made_and_comes_to_the_same() {
        let folder = tempfile::tempdir().unwrap();
        faces(folder.path());
        // A picture without a face is kept too.
        let mut png = std::io::Cursor::new(Vec::new());
        image::RgbImage::new(64, 64).write_to(&mut png, image::ImageFormat::Png).unwrap();
        fs::write(folder.path().join(path((PEOPLE[0], 1))), png.into_inner()).unwrap();
        let (first, kept) = run(folder.path(), &[]);
        assert_eq!(kept, 0);
        let (second, kept) = run(folder.path(), &[]);
        assert_eq!((second, kept), (first.clone(), 8));
        // Another way to make them has other templates.
        let (_, kept) = run(folder.path(), &["--flip"]);
        assert_eq!(kept, 0);
        let (_, kept) = run(folder.path(), &["--face", "largest"]);
        assert_eq!(kept, 0);
        assert_eq!(packs(&folder.path().join("kept")).len(), 3);
        // A picture under another name is the same picture, and a changed one is another.
        fs::copy(folder.path().join(path((PEOPLE[1], 2))), folder.path().join(path((PEOPLE[1], 1)))).unwrap();
        let (_, kept) = run(folder.path(), &[]);
        assert_eq!(kept, 8);
        fs::write(folder.path().join(path((PEOPLE[1], 1))), picture(PEOPLE[1], 3)).unwrap();
        let (_, kept) = run(folder.path(), &[]);
        assert_eq!(kept, 7);
    }

    #[test]
    fn damaged_cut_and_foreign_entries_are_made_anew() {
        let folder = tempfile::tempdir().unwrap();
        faces(folder.path());
        let (first, _) = run(folder.path(), &[]);
        let pack = packs(&folder.path().join("kept")).remove(0);
        let whole = fs::read(&pack).unwrap();
        // The header has 44 bytes, and the eight records are of one size.
        let size = (whole.len() - 44) / 8;
        assert_eq!(44 + 8 * size, whole.len());
        // The picture's digest, the kind, the template, and the check.
        for offset in [0, 31, 32, 33, 33 + 64, size - 32, size - 1] {
            let mut damaged = whole.clone();
            damaged[44 + 3 * size + offset] ^= 1;
            fs::write(&pack, &damaged).unwrap();
            assert_eq!(run(folder.path(), &[]), (first.clone(), 7), "{offset}");
            assert_eq!(run(folder.path(), &[]), (first.clone(), 8), "{offset}");
        }
        // Killed while the last record was written.
        fs::write(&pack, &whole[..whole.len() - 10]).unwrap();
        assert_eq!(run(folder.path(), &[]), (first.clone(), 7));
        assert_eq!(fs::read(&pack).unwrap().len(), whole.len());
        // Killed while the header was.
        fs::write(&pack, &whole[..10]).unwrap();
        assert_eq!(run(folder.path(), &[]), (first.clone(), 0));
        // Records of another way under this one's header: each is bound to its own.
        let (_, kept) = run(folder.path(), &["--flip"]);
        assert_eq!(kept, 0);
        let other = packs(&folder.path().join("kept")).into_iter().find(|path| *path != pack).unwrap();
        let other = fs::read(other).unwrap();
        fs::write(&pack, [&whole[..44], &other[44..]].concat()).unwrap();
        assert_eq!(run(folder.path(), &[]), (first.clone(), 0));
        // A pack of an earlier form, without qualities, is left as it is too.
        fs::write(&pack, [b"clkept01", &whole[8..]].concat()).unwrap();
        assert_eq!(run(folder.path(), &[]), (first.clone(), 0));
        assert!(fs::read(&pack).unwrap().starts_with(b"clkept01"));
        fs::remove_file(
            packs(&folder.path().join("kept"))
                .into_iter()
                .find(|path| path.to_string_lossy().ends_with("-1.kept"))
                .unwrap(),
        )
        .unwrap();
        // Something else under a pack's name is left as it is.
        fs::write(&pack, b"not a pack of templates, but somebody's notes on the matter").unwrap();
        assert_eq!(run(folder.path(), &[]), (first.clone(), 0));
        assert!(fs::read(&pack).unwrap().starts_with(b"not a pack"));
        assert_eq!(run(folder.path(), &[]), (first, 8));
    }

    #[test]
    fn processes_share_a_folder_and_each_has_what_the_others_made_before() {
        let folder = tempfile::tempdir().unwrap();
        faces(folder.path());
        file(folder.path(), "list.txt", labelled().as_bytes());
        let runs: Vec<_> = (0..3)
            .map(|_| {
                let folder = folder.path().to_owned();
                std::thread::spawn(move || run(&folder, &[]).0)
            })
            .collect();
        let figures: Vec<_> = runs.into_iter().map(|run| run.join().unwrap()).collect();
        assert!(figures.iter().all(|one| *one == figures[0]));
        assert!(packs(&folder.path().join("kept")).len() <= 3);
        assert_eq!(run(folder.path(), &[]), (figures[0].clone(), 8));
    }

    #[cfg(unix)]
    #[test]
    fn only_their_owner_can_read_them() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        faces(folder.path());
        run(folder.path(), &[]);
        let kept = folder.path().join("kept");
        assert_eq!(fs::metadata(&kept).unwrap().permissions().mode() & 0o777, 0o700);
        assert!(packs(&kept).iter().all(|pack| fs::metadata(pack).unwrap().permissions().mode() & 0o777 == 0o600));
    }
}
