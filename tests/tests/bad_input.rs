//! Whatever is wrong with its input, the command says what and where, with its own exit code, and writes nothing.
#![allow(clippy::unwrap_used)]

mod common;

use std::path::{Path, PathBuf};

use common::{clearlane, file};
use predicates::prelude::*;
use predicates::str::contains;

const INPUT: i32 = 3;
const MODEL: i32 = 4;
const REGISTER: i32 = 5;
const SYSTEM: i32 = 6;

/// A grey picture without anybody in it.
fn grey(folder: &Path, name: &str) -> PathBuf {
    let path = folder.join(name);
    image::RgbImage::from_pixel(160, 120, image::Rgb([128; 3])).save(&path).unwrap();
    path
}

#[track_caller]
fn refused(picture: &Path, reason: &str) {
    let out = picture.with_extension("out.png");
    clearlane()
        .args(["inspect", "--out"])
        .args([&out, picture])
        .assert()
        .code(INPUT)
        .stdout("")
        .stderr(contains("error: ").and(contains(picture.to_str().unwrap())).and(contains(reason)));
    assert!(!out.exists());
}

#[test]
fn what_is_not_a_picture_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    refused(&file(folder.path(), "letter.jpg", b"Dear Sir or Madam,"), "not a picture");
    // A chip's file begins with this letter, and so do other things.
    refused(&file(folder.path(), "u.txt", b"under way"), "not a");
    refused(&file(folder.path(), "empty.jpg", b""), "empty");
    refused(&folder.path().join("missing.jpg"), "No such file");
    refused(folder.path(), "directory");
}

#[test]
fn a_truncated_picture_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["grey.jpg", "grey.png", "grey.bmp", "grey.ppm"] {
        let whole = std::fs::read(grey(folder.path(), name)).unwrap();
        refused(&file(folder.path(), name, &whole[..whole.len() * 2 / 3]), "cut short");
    }
}

#[test]
fn a_header_that_claims_60000_by_60000_pixels_is_refused_before_memory_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    refused(&file(folder.path(), "huge.ppm", b"P6\n60000 60000\n255\n\0\0\0"), "60000 x 60000");
    let mut bmp = std::fs::read(grey(folder.path(), "huge.bmp")).unwrap();
    bmp[18..22].copy_from_slice(&60000_u32.to_le_bytes());
    bmp[22..26].copy_from_slice(&60000_u32.to_le_bytes());
    refused(&file(folder.path(), "huge.bmp", &bmp), "60000 x 60000");
}

#[test]
fn errors_are_json_where_results_are() {
    let assert = clearlane().args(["inspect", "missing.jpg", "--json"]).assert().code(INPUT).stdout("");
    let error: serde_json::Value = serde_json::from_slice(&assert.get_output().stderr).unwrap();
    assert_eq!(error["exit"], INPUT);
    assert!(error["error"].as_str().unwrap().contains("missing.jpg"));
}

#[test]
fn a_wrong_command_line_is_explained() {
    clearlane().arg("inpsect").assert().code(2).stderr(contains("inspect"));
    clearlane().args(["verify", "a.jpg"]).assert().code(2).stderr(contains("<B>"));
    clearlane().args(["verify", "a", "b", "--threshold", "1.5"]).assert().code(2).stderr(contains("[-1, 1]"));
    clearlane().args(["verify", "a", "b", "--fmr", "0"]).assert().code(2).stderr(contains("between 0 and 1"));
}

#[test]
fn a_folder_of_models_that_is_not_there_or_whose_manifest_is_wrong_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let list = |path: &Path| clearlane().args(["models", "list", "--models"]).arg(path).assert();
    list(&folder.path().join("nowhere")).code(MODEL).stderr(contains("nowhere"));
    file(folder.path(), "manifest.toml", b"[[model]]\nname = 3\n");
    list(folder.path()).code(MODEL).stderr(contains("manifest.toml").and(contains("line 2")));
}

const ENTRY: &str = r#"
[[model]]
name = "finder"
file = "finder.onnx"
sha256 = "DIGEST"
input = { width = 320, height = 320, colour = "rgb", mean = [0.0, 0.0, 0.0], std = [1.0, 1.0, 1.0] }
licence = "none"
source = "a test"

[model.task.detection]
family = "FAMILY"
score_threshold = 0.5
overlap_threshold = 0.4
"#;

fn verify_model(family: &str, digest: &str, bytes: &[u8]) -> assert_cmd::assert::Assert {
    let folder = tempfile::tempdir().unwrap();
    let manifest = ENTRY.replace("FAMILY", family).replace("DIGEST", digest);
    file(folder.path(), "manifest.toml", manifest.as_bytes());
    file(folder.path(), "finder.onnx", bytes);
    clearlane().args(["models", "verify", "finder", "--models"]).arg(folder.path()).assert()
}

/// SHA-256 of "no network at all".
const DIGEST: &str = "5a829230b6264d1c64b6bd9092dc941b446541e487450968bdee67f2bd5608cd";

#[test]
fn a_model_of_another_digest_or_an_unknown_family_or_that_is_no_network_is_named() {
    let bytes = b"no network at all";
    verify_model("scrfd", &"0".repeat(64), bytes).code(1).stdout(contains("SHA-256"));
    verify_model("oracle", DIGEST, bytes).code(1).stdout(contains("oracle").and(contains("scrfd, yunet, retinaface")));
    verify_model("scrfd", DIGEST, bytes).code(1).stdout(contains("cannot be run"));
}

#[test]
#[cfg(feature = "builtin")]
fn a_folder_without_faces_calibrates_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let calibrate = || clearlane().args(["calibrate", "folder"]).arg(folder.path()).assert().code(INPUT);
    calibrate().stderr(contains("0 captures of 0 people with a face").and(contains("help: ")));
    std::fs::create_dir(folder.path().join("nobody")).unwrap();
    grey(&folder.path().join("nobody"), "grey.png");
    calibrate().stderr(contains("0 captures of 0 people with a face"));
}

#[test]
fn a_model_that_nobody_knows_is_refused_with_those_that_are_known() {
    clearlane()
        .args(["models", "show", "oracle"])
        .assert()
        .code(MODEL)
        .stderr(contains("oracle").and(contains("help: ")));
}

#[test]
fn a_register_that_is_none_is_refused_and_left_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(folder.path(), "port.db", b"not a register, a note");
    clearlane().args(["register", "list", "--register"]).arg(&path).assert().code(REGISTER).stderr(contains("port.db"));
    assert_eq!(std::fs::read(&path).unwrap(), b"not a register, a note");
    let missing = folder.path().join("missing.db");
    clearlane()
        .args(["register", "list", "--register"])
        .arg(&missing)
        .assert()
        .code(REGISTER)
        .stderr(contains("missing.db"));
    assert!(!missing.exists());
}

#[test]
fn a_key_file_is_never_overwritten_and_its_owner_alone_reads_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("port.key");
    let keygen = || clearlane().args(["register", "keygen"]).arg(&path).assert();
    keygen().success().stdout(contains("port.key"));
    let key = std::fs::read(&path).unwrap();
    assert_eq!(key.len(), 65);
    keygen().code(SYSTEM).stderr(contains("port.key"));
    assert_eq!(std::fs::read(&path).unwrap(), key);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
}

#[test]
fn a_full_disk_is_an_error_and_not_silence() {
    if !Path::new("/dev/full").exists() {
        eprintln!("skipped: this system has no /dev/full");
        return;
    }
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let status = std::process::Command::new(env!("CARGO_BIN_EXE_clearlane-under-test"))
        .args(["completions", "bash"])
        .stdout(full)
        .status()
        .unwrap();
    assert_eq!(status.code(), Some(SYSTEM));
}

#[test]
fn a_data_set_that_is_not_there_or_damaged_is_refused_with_the_line() {
    let folder = tempfile::tempdir().unwrap();
    let eval = || clearlane().args(["eval", "lfw"]).arg(folder.path()).assert();
    eval().code(INPUT).stderr(contains("pairs.txt"));
    file(folder.path(), "pairs.txt", b"1 1\nAda 1 2\nAda 1 Bea\n");
    eval().code(INPUT).stderr(contains("pairs.txt").and(contains("line 3")));
    file(folder.path(), "errata.txt", b"burn Ada_0001\n");
    eval().code(INPUT).stderr(contains("errata.txt").and(contains("line 1")));
}

/// A register's options, in `folder`, with a key.
fn register(folder: &Path) -> Vec<std::ffi::OsString> {
    let key = folder.join("port.key");
    if !key.exists() {
        clearlane().args(["register", "keygen"]).arg(&key).assert().success();
    }
    vec!["--register".into(), folder.join("port.db").into(), "--key-file".into(), key.into()]
}

#[test]
fn an_import_that_ends_early_says_what_it_did_and_up_to_which_line() {
    let folder = tempfile::tempdir().unwrap();
    let import = |file: &Path| {
        let output = clearlane()
            .args(["register", "import", "--json"])
            .arg(file)
            .args(register(folder.path()))
            .output()
            .unwrap();
        let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        (output.status.code().unwrap(), report)
    };
    // A line cannot be read, and the ones after it can.
    let text = [&b"{\"key\":\"a\"}\n{\"key\":\""[..], &vec![b'x'; 5 << 20], b"\"}\n{\"key\":\"b\"}\n"].concat();
    let (code, report) = import(&file(folder.path(), "long.jsonl", &text));
    assert_eq!(
        (code, &report["enrolled"], &report["lines"], &report["complete"]),
        (1, &2.into(), &3.into(), &true.into())
    );
    assert_eq!(report["refused"][0]["line"], 2);
    // A header with a column that nobody knows ends it before it begins.
    let (code, report) = import(&file(folder.path(), "wrong.csv", b"key,withdrawn_at\nc,2024-01-01\n"));
    assert_eq!(
        (code, &report["enrolled"], &report["lines"], &report["complete"]),
        (INPUT, &0.into(), &0.into(), &false.into())
    );
    // What is no file leaves no register behind.
    let other = tempfile::tempdir().unwrap();
    let output = clearlane().args(["register", "import"]).arg(folder.path()).args(register(other.path())).assert();
    output.code(INPUT).stderr(contains("directory"));
    assert!(!other.path().join("port.db").exists());
}

#[test]
fn what_a_file_says_commands_no_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let text = file(folder.path(), "a.jsonl", b"{\"\\u001b[2J\": 1}\n");
    let import = clearlane().args(["register", "import"]).arg(&text).args(register(folder.path())).assert().code(1);
    import.stdout(contains("\\u{1b}[2J").and(contains("\u{1b}").not()));
    let plan = file(folder.path(), "plan.csv", b"subject,image,\x1b[2J\na,b,c\n");
    let enrol =
        clearlane().args(["enrol", "--without-policy"]).arg(&plan).args(register(folder.path())).assert().code(INPUT);
    enrol.stderr(contains("\\u{1b}[2J").and(contains("\u{1b}[2J").not()));
}

#[test]
fn a_list_of_people_to_enrol_is_taken_as_a_whole_or_refused_with_the_line_and_the_column() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |text: &str, line: u32, column: &str| {
        let list = file(folder.path(), "list.csv", text.as_bytes());
        let enrol = clearlane()
            .args(["enrol", "--without-policy"])
            .arg(&list)
            .args(register(folder.path()))
            .assert()
            .code(INPUT);
        enrol.stderr(contains("list.csv").and(contains(format!("line {line}"))).and(contains(column)));
        assert!(!folder.path().join("port.db").exists());
    };
    refused("subject,image,brith\na,b.jpg,2000-01-01\n", 1, "`brith`");
    refused("subject,image,image\na,b.jpg,c.jpg\n", 1, "`image`");
    refused("subject,birth\na,2000-01-01\n", 1, "`image`");
    refused("subject,image\na,b.jpg\nc\n", 3, "expected 2 fields");
    refused(&format!("subject,image\na,\"{}\"\nc,d.jpg\n", "x".repeat(5 << 20)), 2, "longer");
    refused("subject,image\na,\"b.jpg\nc,d.jpg\n", 2, "never closed");
    for (column, value, other) in [
        ("category", "other", "macao-resident"),
        ("nationality", "other", "chinese"),
        ("birth", "2000-01-01", "2000-01-02"),
        ("expires", "2030-01-01", "2030-01-02"),
        ("consent", "2024-11-25T00:00:00Z", "2024-11-25T00:00:01Z"),
        ("place", "hall 1", "hall 2"),
        ("method", "import", "collection-point"),
    ] {
        refused(&format!("subject,image,{column}\na,b.jpg,{value}\na,c.jpg,\na,d.jpg,{other}\n"), 4, column);
        refused(&format!("subject,image,{column}\na,b.jpg,\na,c.jpg,{value}\n"), 3, column);
        if !["place", "method"].contains(&column) {
            refused(&format!("subject,image,{column}\na,b.jpg,no such word\n"), 2, column);
        }
    }
    refused("subject,image,consent_fingerprint\na,b.jpg,true\n", 2, "consent_fingerprint");
    refused(
        "subject,image,consent,consent_fingerprint\na,b.jpg,2024-11-25T00:00:00Z,maybe\n",
        2,
        "consent_fingerprint",
    );
}

#[test]
fn a_list_of_passengers_names_nobody_who_does_not_pass() {
    let folder = tempfile::tempdir().unwrap();
    let queue = file(folder.path(), "queue.txt", b"a.jpg\n\nnotes.txt\n");
    let run = ["lane", "run", "--port", "a", "--policy", "missing.toml"];
    let run = clearlane().args(run).arg(&queue).args(register(folder.path())).assert().code(INPUT);
    run.stderr(contains("line 3").and(contains("notes.txt")));
}

#[test]
fn fictional_faces_of_another_layout_are_refused_with_the_line() {
    let folder = tempfile::tempdir().unwrap();
    for (text, line) in [("path,subject,kind,enroled\n", 1), ("path,subject,kind,enrolled\na.jpg,a,enrol,maybe\n", 2)] {
        file(folder.path(), "manifest.csv", text.as_bytes());
        let demo = clearlane().args(["demo", "--faces"]).arg(folder.path()).assert().code(INPUT);
        demo.stderr(contains("manifest.csv").and(contains(format!("line {line}"))).and(contains("enrol")));
    }
}
