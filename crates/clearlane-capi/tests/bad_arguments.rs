//! Every function of the header with every argument wrong in every way that the library can see: an error with words, never a
//! crash. The calls are made from the header, so a new function is called without a line here; a new type of argument fails
//! until it is told what is right and what is wrong. What they get is held beside `docs/bad-inputs.md`: `CLEARLANE_WRITE_TABLES=1`
//! writes it anew.
#![cfg(feature = "builtin")]
#![allow(clippy::unwrap_used)]

mod common;
#[path = "../../../tests/tests/common/page.rs"]
mod page;

use std::collections::HashMap;
use std::fmt::Write as _;

use common::build::{Prefix, compilers};
use common::header::{Function, Header, Variable};
use common::port::Port;

/// Opens two of everything that has a handle, and closes one of each.
const BEGIN: &str = r#"
#include <clearlane.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int calls;
static char *message, *text;
static bool sound;

static void expect_error(clearlane_status status, bool has_message, const char *call) {
  calls++;
  if (status == CLEARLANE_OK || status == CLEARLANE_INTERNAL || (has_message && (!message || strlen(message) < 10))) {
    fprintf(stderr, "%s: status %d, %s\n", call, status, message ? message : "no message");
    exit(1);
  }
  printf("%d\t%s\t%s\n", status, call, message ? message : "");
  clearlane_free(message);
  message = NULL;
}

static void must(clearlane_status status) {
  if (status != CLEARLANE_OK) fprintf(stderr, "%s\n", message), exit(1);
}

static clearlane_status key_callback(void *user, const uint8_t *id, uint8_t *key) {
  (void)user, (void)id, (void)key;
  return CLEARLANE_NOT_FOUND;
}

static void log_callback(void *user, clearlane_log_level level, const char *target, const char *text) {
  (void)user, (void)level, (void)target, (void)text;
}

int main(int count, char **arguments) {
  (void)count, (void)key_callback, (void)log_callback, (void)sound, (void)text;
  static uint8_t pixels[64 * 64], templates[32 + 4 * 128], made[sizeof templates], file[] = "P6 1 1 255\n123";
  static uint64_t numbers[1] = {1};
  static size_t found;
  static float score;
  (void)made, (void)numbers, (void)score;
  static const char *not_utf8 = "lane \xff", *good_text = "f0000";
  clearlane_frame frame = {.size = sizeof frame, .pixels = pixels, .length = sizeof pixels, .stride = 64, .width = 64,
                           .height = 64, .format = CLEARLANE_GRAY8}, decoded = frame;
  clearlane_evidence evidence = {.size = sizeof evidence, .matcher = "fingerprint", .subject = 1};
  clearlane_passage passage = {.size = sizeof passage, .frames = &frame, .frame_count = 1};
  clearlane_document document = {.size = sizeof document, .kind = "passport", .number = "1", .portrait = &frame};
  clearlane_port_options port_options = {.size = sizeof port_options, .register_path = arguments[1],
                                         .key_file = arguments[2], .policy_path = arguments[3]};
  clearlane_identify_options identify_options = {.size = sizeof identify_options, .fpir = 0.01};
  clearlane_record_query record_query = {.size = sizeof record_query, .key = "f0000"};
  clearlane_application application = {.size = sizeof application, .key = "f0000", .details = "{}", .pictures = &frame,
                                       .picture_count = 1};
  clearlane_extractor_options extractor_options = {.size = sizeof extractor_options};
  clearlane_model model = CLEARLANE_INIT(clearlane_model), no_model = model;
  clearlane_gallery_options gallery_options = {.size = sizeof gallery_options, .model = &model};
  clearlane_face face = CLEARLANE_INIT(clearlane_face);
  clearlane_decision decision = CLEARLANE_INIT(clearlane_decision);
  clearlane_step step = CLEARLANE_INIT(clearlane_step);
  clearlane_identification identification = CLEARLANE_INIT(clearlane_identification);
  clearlane_candidate candidate = CLEARLANE_INIT(clearlane_candidate);
  clearlane_enrolment enrolment = CLEARLANE_INIT(clearlane_enrolment);
  clearlane_extractor *extractor, *closed_extractor, *new_extractor;
  clearlane_gallery *gallery, *closed_gallery, *new_gallery;
  clearlane_picture *picture, *closed_picture, *new_picture;
  clearlane_port *port, *closed_port, *new_port;
  clearlane_lane *lane, *closed_lane, *new_lane;
  clearlane_session *session, *closed_session, *new_session;
  clearlane_refresher *refresher, *closed_refresher, *new_refresher;
  must(clearlane_picture_decode(file, sizeof file - 1, 0, &picture, &decoded, &message));
  must(clearlane_picture_decode(file, sizeof file - 1, 0, &closed_picture, &decoded, &message));
  must(clearlane_extractor_open(&extractor_options, &extractor, &message));
  must(clearlane_extractor_open(&extractor_options, &closed_extractor, &message));
  must(clearlane_extractor_model(extractor, &model, &message));
  /* A unit vector: 1, then zeros. */
  memcpy(templates, model.id, 32), templates[34] = 0x80, templates[35] = 0x3f;
  must(clearlane_gallery_open(&gallery_options, &gallery, &message));
  must(clearlane_gallery_open(&gallery_options, &closed_gallery, &message));
  must(clearlane_port_open(&port_options, &port, &message));
  must(clearlane_port_open(&port_options, &closed_port, &message));
  must(clearlane_lane_open(port, "lane 1", CLEARLANE_EXIT, &lane, &message));
  must(clearlane_lane_open(port, "lane 2", CLEARLANE_EXIT, &closed_lane, &message));
  must(clearlane_session_open(lane, 0, &session, &message));
  must(clearlane_session_open(lane, 0, &closed_session, &message));
  must(clearlane_port_refresh_every(port, 1000000, &refresher, &message));
  must(clearlane_port_refresh_every(port, 1000000, &closed_refresher, &message));
  clearlane_refresher_close(closed_refresher), clearlane_session_close(closed_session);
  clearlane_lane_close(closed_lane), clearlane_port_close(closed_port);
  clearlane_picture_close(closed_picture), clearlane_extractor_close(closed_extractor);
  clearlane_gallery_close(closed_gallery);
"#;

const END: &str = r#"
  clearlane_session_close(session), clearlane_lane_close(lane);
  clearlane_refresher_close(refresher), clearlane_port_close(port);
  clearlane_picture_close(picture), clearlane_extractor_close(extractor), clearlane_gallery_close(gallery);
  printf("%d", calls);
  return 0;
}
"#;

/// Structs that the caller fills, each with members that may not be what is said: the text of the member's new value.
const INPUTS: [(&str, &[&str]); 10] = [
    (
        "frame",
        &[
            "pixels = NULL",
            "length = 64 * 63",
            "stride = 63",
            "stride = SIZE_MAX",
            "width = 0",
            "height = UINT32_MAX",
            "format = 0",
            "format = 99",
            "colour = -1",
            "chroma = pixels",
        ],
    ),
    ("evidence", &["matcher = NULL", "matcher = not_utf8"]),
    (
        "extractor_options",
        &[
            "model_folder_count = 1",
            "model_folder_count = SIZE_MAX",
            "model_folders = &good_text, extractor_options.model_folder_count = 1",
            "detector = good_text",
            "embedder = not_utf8",
            "embedder = \"clearlane-detector\"",
            "selection = 3",
            "orientation = -1",
            "smallest_face = -1",
            "detector_size = 31",
            "flags = CLEARLANE_PARALLEL",
        ],
    ),
    (
        "gallery_options",
        &["model = NULL", "model = &no_model", "model = (void *)(pixels + 8)", "mode = 99", "flags = CLEARLANE_FLIP"],
    ),
    (
        "passage",
        &[
            "frames = NULL",
            "frame_count = SIZE_MAX",
            "frames = (void *)(pixels + 1)",
            "evidence_count = 1",
            "evidence_count = SIZE_MAX",
        ],
    ),
    (
        "document",
        &[
            "kind = NULL",
            "kind = good_text",
            "kind = not_utf8",
            "number = NULL",
            "number = not_utf8",
            "portrait = NULL",
            "portrait = (void *)(pixels + 8)",
        ],
    ),
    (
        "port_options",
        &[
            "register_path = NULL",
            "register_path = not_utf8",
            "register_path = good_text",
            "key_file = good_text",
            "key_file = NULL",
            "keys = key_callback",
            "gallery_path = not_utf8",
            "gallery_path = arguments[2]",
            "policy_path = not_utf8",
            "policy_path = arguments[2]",
            "port = not_utf8",
            "port = \"no such port\"",
            "model_folder_count = 1",
            "model_folder_count = SIZE_MAX",
            "model_folders = (void *)(pixels + 1), port_options.model_folder_count = 1",
            "detector = good_text",
            "embedder = not_utf8",
            "pad_count = 1",
            "claim_issuer = good_text",
            "access = 3",
            "selection = -1",
            "mode = 99",
            "flags = 16",
            "orientation = 2",
            "smallest_face = -1",
            "smallest_face = 0.0 / 0.0",
            "detector_size = 31",
            "detector_size = 4097",
        ],
    ),
    (
        "identify_options",
        &["fpir = 0", "fpir = 1", "fpir = -1", "margin = -1", "margin = 1e30f", "list_from = 2", "fpir = 0.0 / 0.0"],
    ),
    (
        "record_query",
        &["key = NULL", "key = not_utf8", "key = \"nobody\"", "subject = 1", "direction = 3", "outcome = -1"],
    ),
    (
        "application",
        &[
            "key = NULL",
            "key = not_utf8",
            "details = NULL",
            "details = not_utf8",
            "details = good_text",
            "pictures = NULL",
            "picture_count = SIZE_MAX",
        ],
    ),
];

const OUTPUTS: [&str; 7] = ["decision", "step", "identification", "candidate", "enrolment", "face", "model"];
const HANDLES: [&str; 7] = ["port", "lane", "session", "refresher", "extractor", "gallery", "picture"];

/// Functions that cannot fail.
const INFALLIBLE: [&str; 2] = ["clearlane_version", "clearlane_abi_version"];

#[test]
fn bad_input_over_every_function_is_an_error_with_words_and_never_a_crash() {
    let (header, prefix, port) = (Header::read(), Prefix::new(), Port::new());
    let mut source = BEGIN.to_owned();
    let mut calls = 0;
    for function in header.functions.iter().filter(|function| !INFALLIBLE.contains(&function.name.as_str())) {
        assert_eq!(function.result, "clearlane_status", "{}", function.name);
        for (index, parameter) in function.parameters.iter().enumerate() {
            for (before, argument, after) in wrong(function, parameter) {
                let mut arguments: Vec<_> = function.parameters.iter().map(|other| right(function, other)).collect();
                arguments[index] = argument;
                let call = format!("{}({})", function.name, arguments.join(", "));
                let has_message = function.parameters.last().is_some_and(|last| last.name == "message");
                writeln!(
                    source,
                    "  {before}expect_error({call}, {has_message}, {:?});{after}",
                    format!("{before}{call}")
                )
                .unwrap();
                calls += 1;
            }
        }
    }
    source += END;
    let path = prefix.path().join("bad_arguments.c");
    std::fs::write(&path, source).unwrap();
    for compiler in compilers(&["gcc", "clang"]) {
        let program = prefix.compile(compiler, &path);
        let answers = Prefix::run(&program, &port.arguments());
        let (answers, counted) = answers.rsplit_once('\n').unwrap();
        assert_eq!(counted, calls.to_string());
        let folder = port.folder.path().display().to_string();
        page::hold("docs/bad-inputs.md", "C", &rows(&header, &answers.replace(&folder, "DIR")));
    }
    assert!(calls > 300, "{calls}");
}

/// The page's rows: of all calls that get the same status and the same words, the first stands for all.
fn rows(header: &Header, answers: &str) -> Vec<Vec<String>> {
    let mut rows = vec![["call", "calls like it", "status", "it says"].map(str::to_owned).to_vec()];
    let mut known: HashMap<(&str, &str), (usize, usize)> = HashMap::new();
    for answer in answers.lines() {
        let [status, call, message] = answer.splitn(3, '\t').collect::<Vec<_>>().try_into().unwrap();
        let place = known.entry((status, message)).or_insert_with(|| {
            let first = header.constants.iter().position(|(name, _)| name == "CLEARLANE_OK").unwrap();
            let (name, _) = header.constants[first..].iter().find(|(_, value)| value == status).unwrap();
            rows.push(vec![format!("`{call}`"), String::new(), format!("`{name}`"), message.to_owned()]);
            (rows.len() - 1, 0)
        });
        place.1 += 1;
        rows[place.0][1] = place.1.to_string();
    }
    rows
}

/// The name of a type of the header, such as `lane` of `const clearlane_lane *`.
fn plain(kind: &str) -> &str {
    kind.trim_start_matches("const ").trim_end_matches(['*', ' ']).trim_start_matches("clearlane_")
}

/// An argument that is what it should be, though the call may still find nobody.
fn right(function: &Function, parameter: &Variable) -> String {
    let name = plain(&parameter.kind);
    match (parameter.name.as_str(), parameter.kind.as_str()) {
        ("message", _) => "&message".to_owned(),
        ("direction", _) => "CLEARLANE_EXIT".to_owned(),
        ("form", _) => "CLEARLANE_TEXT".to_owned(),
        ("level", _) => "CLEARLANE_LOG_ERROR".to_owned(),
        ("callback", _) => "log_callback".to_owned(),
        ("user", _) => "NULL".to_owned(),
        (_, "const char *") => "good_text".to_owned(),
        (_, "char **" | "void *") => "&text".to_owned(),
        (_, "bool *") => "&sound".to_owned(),
        ("frame", "clearlane_frame *") => "&decoded".to_owned(),
        ("bytes", "const uint8_t *") => "file".to_owned(),
        ("length", _) if function.name == "clearlane_picture_decode" => "sizeof file - 1".to_owned(),
        (name, "size_t") if name.ends_with("length") => "sizeof templates".to_owned(),
        (_, "const uint8_t *") => "templates".to_owned(),
        (_, "uint8_t *") => "made".to_owned(),
        (_, "const uint64_t *") => "numbers".to_owned(),
        (_, "size_t *") => "&found".to_owned(),
        (_, "float *") => "&score".to_owned(),
        (_, "size_t") => "1".to_owned(),
        (_, "uint64_t") => "1000000".to_owned(),
        (_, kind) if kind.ends_with("**") => format!("&new_{name}"),
        _ if HANDLES.contains(&name) => name.to_owned(),
        _ if OUTPUTS.contains(&name) || INPUTS.iter().any(|(input, _)| *input == name) => format!("&{name}"),
        (_, kind) => panic!("say what is right for `{kind} {}` of {}", parameter.name, function.name),
    }
}

/// Arguments that are wrong, each with what is done before and after.
fn wrong(function: &Function, parameter: &Variable) -> Vec<(String, String, String)> {
    let name = plain(&parameter.kind);
    let bare = |argument: &str| (String::new(), argument.to_owned(), String::new());
    let structs = |members: &[&str]| {
        // A null, a place that is not aligned, sizes that are none, and a field of a newer header.
        let mut wrong = vec![bare("NULL"), bare("(void *)(pixels + 1)"), bare("(void *)(pixels + 8)")];
        let sizes = ["0", "7", "8", "SIZE_MAX", &format!("sizeof {name} + 1")].map(|size| format!("size = {size}"));
        for change in sizes.iter().map(String::as_str).chain(members.iter().copied()) {
            wrong.push((
                format!("{{ clearlane_{name} good = {name}; {name}.{change}; "),
                format!("&{name}"),
                format!(" {name} = good; }}"),
            ));
        }
        wrong.push((
            format!("{{ struct {{ clearlane_{name} known; uint64_t more; }} newer = {{{name}, 1}}; newer.known.size = sizeof newer; "),
            "&newer.known".to_owned(),
            " }".to_owned(),
        ));
        wrong
    };
    match (parameter.name.as_str(), parameter.kind.as_str()) {
        // Nobody has to take a message, user data may be anything, no patience is too long, and no limit too high.
        ("message" | "user" | "patience_us" | "max_pixels", _) => Vec::new(),
        ("text", "void *") => vec![bare("&sound"), bare("port"), bare("(void *)good_text")],
        ("callback", _) => vec![bare("NULL")],
        ("claim_frame_count" | "capacity", _) => vec![bare("SIZE_MAX"), bare("SIZE_MAX / 8")],
        ("count", "size_t") if function.name == "clearlane_gallery_reserve" => vec![bare("SIZE_MAX")],
        ("count", "size_t") => vec![bare("0"), bare("SIZE_MAX")],
        ("subject", _) => vec![bare("0"), bare("2")],
        (name, "size_t") if name.ends_with("length") => vec![bare("0"), bare("1"), bare("SIZE_MAX")],
        (_, "const uint8_t *" | "uint8_t *") => vec![bare("NULL")],
        (_, "const uint64_t *" | "size_t *" | "float *") => vec![bare("NULL"), bare("(void *)(pixels + 1)")],
        ("period_us", _) => vec![bare("0"), bare("999")],
        (_, "const char *") => vec![bare("NULL"), bare("not_utf8"), bare("\"\""), bare("\"a\\nb\"")],
        (_, "char **" | "bool *") => vec![bare("NULL")],
        (_, kind) if kind.ends_with("**") => vec![bare("NULL"), bare("(void *)(pixels + 1)")],
        _ if ["direction", "form", "level"].contains(&parameter.name.as_str()) => {
            vec![bare("0"), bare("-1"), bare("99"), bare("INT32_MAX")]
        }
        _ if HANDLES.contains(&name) => {
            let closes = function.name.ends_with("_close");
            let others = HANDLES.iter().filter(|other| **other != name).map(|other| bare(&format!("(void *){other}")));
            let made_up = ["(void *)pixels", "(void *)1", "(void *)UINTPTR_MAX"].map(bare);
            let null = (!closes).then(|| bare("NULL"));
            let closed = bare(&format!("closed_{name}"));
            others.chain(made_up).chain(null).chain([closed]).collect()
        }
        // Beyond the decision that is asked for, an output of the library's is written and not read.
        _ if OUTPUTS.contains(&name) || parameter.kind == "clearlane_frame *" => {
            let newer_is_fine = structs(&[]);
            newer_is_fine[..newer_is_fine.len() - 1].to_vec()
        }
        _ => match INPUTS.iter().find(|(input, _)| *input == name) {
            Some((_, members)) => structs(members),
            None => panic!("say what is wrong for `{} {}` of {}", parameter.kind, parameter.name, function.name),
        },
    }
}
