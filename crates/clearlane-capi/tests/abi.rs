//! The ABI is what it was: the header is what the sources say, and every function, field and number of `abi/1.txt` is still
//! there and means the same.
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::mem::{align_of, offset_of, size_of};
use std::process::Command;

use clearlane_capi::*;
use common::build::{Prefix, compilers, here, installed, library};
use common::header::Header;

/// A struct as Rust has it.
struct Layout {
    name: &'static str,
    size: usize,
    align: usize,
    /// Names, offsets and sizes.
    fields: Vec<(&'static str, usize, usize)>,
}

/// The layouts of all structs. One whose fields are not all listed does not compile.
macro_rules! layouts {
    ($($name:ident { $($field:ident),* })*) => {
        vec![$({
            fn size_of_field<F>(_: fn(&$name) -> &F) -> usize {
                size_of::<F>()
            }
            let _every_field = |value: $name| {
                let $name { $($field: _),* } = value;
            };
            Layout {
                name: stringify!($name),
                size: size_of::<$name>(),
                align: align_of::<$name>(),
                fields: vec![$((
                    stringify!($field),
                    offset_of!($name, $field),
                    size_of_field(|value| &value.$field),
                )),*],
            }
        }),*]
    };
}

fn layouts() -> Vec<Layout> {
    layouts! {
        clearlane_frame {
            size, pixels, length, stride, width, height, format, colour, chroma, chroma_length, chroma_stride, rotation,
            reserved
        }
        clearlane_extractor_options {
            size, model_folders, model_folder_count, detector, embedder, selection, orientation, smallest_face,
            detector_size, flags, reserved
        }
        clearlane_face { size, edges, landmarks, score, outside, rotation, faces, json }
        clearlane_model { size, dimension, template_length, id }
        clearlane_gallery_options { size, model, mode, flags }
        clearlane_application { size, key, details, pictures, picture_count, digests }
        clearlane_enrolment { size, outcome, template_count, subject, json }
        clearlane_identify_options { size, fpir, margin, list_from, budget_us }
        clearlane_identification {
            size, identified, has_margin, complete, reserved, subject, candidate_count, threshold, margin, json
        }
        clearlane_candidate { size, subject, template_id, score, reserved }
        clearlane_evidence { size, matcher, subject, score }
        clearlane_passage { size, frames, frame_count, evidence, evidence_count, budget_us }
        clearlane_decision {
            size, admitted, has_subject, has_comparison, has_margin, has_record, reserved, subject, record, total_us,
            score, threshold, margin, reserved_2, json
        }
        clearlane_document { size, kind, number, portrait }
        clearlane_port_options {
            size, register_path, key_file, keys, keys_user, keys_release, witness_path, policy_path, port,
            model_folders, model_folder_count, detector, embedder, pad, pad_count, claim_issuer, access, selection,
            mode, flags, orientation, smallest_face, detector_size, reserved, gallery_path
        }
        clearlane_record_query { size, key, subject, direction, outcome }
        clearlane_step { size, decided, reserved, guidance, phrase_en, phrase_zh }
    }
}

#[test]
fn the_header_is_what_cbindgen_makes_of_the_sources() {
    if !installed("cbindgen") {
        return;
    }
    let made = Command::new("cbindgen")
        .args(["--quiet", "--config", "cbindgen.toml", "."])
        .current_dir(here())
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let committed = std::fs::read_to_string(here().join("include/clearlane.h")).unwrap();
    assert!(
        String::from_utf8(made.stdout).unwrap() == committed,
        "include/clearlane.h is not what the sources say: run\n  cbindgen --config cbindgen.toml --output include/clearlane.h .\nin {}",
        here().display()
    );
}

/// The offsets are those of 64-bit machines.
#[test]
#[cfg(target_pointer_width = "64")]
fn no_function_field_or_number_of_abi_1_has_changed_or_gone() {
    let present = declared(&Header::read());
    let committed = std::fs::read_to_string(here().join("abi/1.txt")).unwrap();
    let promised: BTreeSet<_> = committed.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect();
    let gone: Vec<_> = promised.difference(&present).map(String::as_str).collect();
    assert!(gone.is_empty(), "programs that were linked against ABI 1 rely on these:\n{}", gone.join("\n"));
    let new: Vec<_> = present.difference(&promised).map(String::as_str).collect();
    assert!(new.is_empty(), "add what the ABI promises from now on to abi/1.txt:\n{}", new.join("\n"));
}

/// Everything that the header declares, a line each, with the layouts that Rust has.
fn declared(header: &Header) -> BTreeSet<String> {
    let mut lines = BTreeSet::new();
    for (name, value) in &header.constants {
        lines.insert(format!("number {name} {value}"));
    }
    for (name, kind) in &header.types {
        lines.insert(format!("type {name} {kind}"));
    }
    for function in &header.functions {
        let parameters: Vec<_> = function.parameters.iter().map(|parameter| parameter.kind.as_str()).collect();
        lines.insert(format!("function {} {}({})", function.result, function.name, parameters.join(", ")));
    }
    let layouts = layouts();
    assert_eq!(header.structs.len(), layouts.len());
    for declared in &header.structs {
        let layout = layouts.iter().find(|layout| layout.name == declared.name).unwrap();
        assert_eq!(declared.fields.len(), layout.fields.len(), "{}", declared.name);
        for (field, (name, offset, size)) in declared.fields.iter().zip(&layout.fields) {
            assert_eq!(field.name, *name, "{}", declared.name);
            lines.insert(format!("field {}.{name} at {offset}, {size} bytes, {}", declared.name, field.kind));
        }
    }
    lines
}

#[test]
fn every_struct_begins_with_its_size_and_has_no_gap_for_a_later_field_to_hide_in() {
    for Layout { name, size, align, fields } in layouts() {
        assert_eq!(fields[0], ("size", 0, size_of::<usize>()), "{name}");
        let mut end = 0;
        for (field, offset, size) in fields {
            assert_eq!(offset, end, "{name}.{field}");
            end = offset + size;
        }
        assert_eq!((end, align), (size, align_of::<usize>()), "{name}");
    }
}

#[test]
fn c_and_cpp_see_the_layouts_that_rust_has() {
    let (header, prefix) = (Header::read(), Prefix::new());
    let mut source = "#include <clearlane.h>\n#include <stdio.h>\nint main(void) {\n".to_owned();
    for declared in &header.structs {
        let name = &declared.name;
        writeln!(source, "  printf(\"{name} %zu\\n\", sizeof({name}));").unwrap();
        for field in &declared.fields {
            let field = &field.name;
            writeln!(
                source,
                "  printf(\"{name}.{field} %zu %zu\\n\", offsetof({name}, {field}), sizeof((({name} *)0)->{field}));"
            )
            .unwrap();
        }
    }
    source += "  return 0;\n}\n";
    let mut expected = String::new();
    for declared in &header.structs {
        let layout = layouts().into_iter().find(|layout| layout.name == declared.name).unwrap();
        writeln!(expected, "{} {}", layout.name, layout.size).unwrap();
        for (field, offset, size) in &layout.fields {
            writeln!(expected, "{}.{field} {offset} {size}", layout.name).unwrap();
        }
    }
    for (file, names) in [("layout.c", ["gcc", "clang"]), ("layout.cpp", ["g++", "clang++"])] {
        let path = prefix.path().join(file);
        std::fs::write(&path, &source).unwrap();
        for compiler in compilers(&names) {
            let program = prefix.compile(compiler, &path);
            assert_eq!(Prefix::run::<&str>(&program, &[]), expected, "{compiler}");
        }
    }
}

#[test]
fn the_shared_library_exports_the_functions_of_the_header_and_nothing_else() {
    if !installed("nm") {
        return;
    }
    let listed = Command::new("nm").args(["--dynamic", "--defined-only"]).arg(library()).output().unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    let exported: BTreeSet<_> = listed.lines().filter_map(|line| line.rsplit(' ').next()).collect();
    let header = Header::read();
    let declared: BTreeSet<_> = header.functions.iter().map(|function| function.name.as_str()).collect();
    assert_eq!(exported, declared);
    assert!(declared.iter().all(|name| name.starts_with("clearlane_")) && declared.len() > 20);
}
