//! Lists the built-in fictional faces, so that they are compiled in with the feature `builtin`.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=build.rs");
    let folder = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default()).join("fictional");
    let manifest = folder.join("manifest.csv");
    println!("cargo::rerun-if-changed={}", manifest.display());
    let mut table = String::from("&[");
    if env::var_os("CARGO_FEATURE_BUILTIN").is_some() {
        let text = fs::read_to_string(&manifest)?;
        let paths = text.lines().skip(1).filter_map(|line| line.split(',').next());
        entry(&mut table, "manifest.csv", &manifest)?;
        for path in paths {
            let file = folder.join(path);
            println!("cargo::rerun-if-changed={}", file.display());
            entry(&mut table, path, &file)?;
        }
    }
    table.push(']');
    fs::write(PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default()).join("faces.rs"), table)
}

/// A path and what includes its bytes. The file is named from the package's folder on, so that this list, and with it what is
/// built, is the same wherever that folder lies.
fn entry(table: &mut String, path: &str, file: &Path) -> io::Result<()> {
    fs::metadata(file).map_err(|error| io::Error::other(format!("{}: {error}", file.display())))?;
    let from = format!("/fictional/{path}");
    // Writing to a String cannot fail.
    let _ = write!(table, "({path:?}, include_bytes!(concat!(env!(\"CARGO_MANIFEST_DIR\"), {from:?})) as &[u8]),");
    Ok(())
}
