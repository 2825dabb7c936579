//! C and C++ programs against the installed library.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

/// The library under a prefix, as `install.sh` puts it there, and what builds programs against it.
pub(crate) struct Prefix {
    folder: TempDir,
}

pub(crate) fn here() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The shared library, which cargo builds beside this test.
pub(crate) fn library() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let folders = test.ancestors().skip(1).take(2);
    let candidates = folders.map(|folder| folder.join("libclearlane_capi.so"));
    candidates.into_iter().find(|path| path.exists()).expect("cargo builds the shared library with the tests")
}

/// Whether a program is installed; says so where it is not.
pub(crate) fn installed(program: &str) -> bool {
    let found = Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success());
    if !found {
        println!("skipped: {program} is not installed");
    }
    found
}

/// The compilers to try, those that are installed.
pub(crate) fn compilers(names: &[&'static str]) -> Vec<&'static str> {
    names.iter().copied().filter(|name| installed(name)).collect()
}

impl Prefix {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let installed =
            Command::new("sh").arg(here().join("install.sh")).arg(folder.path()).arg(library()).output().unwrap();
        assert!(installed.status.success(), "{}", String::from_utf8_lossy(&installed.stderr));
        Self { folder }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Compiles a program with every warning an error, and with `-fsanitize=address` where `compiler` has it.
    pub(crate) fn compile(&self, compiler: &str, source: &Path) -> PathBuf {
        let program = self.path().join(format!("{}-{compiler}", source.file_stem().unwrap().display()));
        let standard = if compiler.contains("++") { "-std=c++17" } else { "-std=c11" };
        let compile = |more: &[&str]| {
            let lib = self.path().join("lib");
            Command::new(compiler)
                .args([standard, "-g", "-Wall", "-Wextra", "-Werror", "-pedantic", "-pthread"])
                .args(more)
                .arg("-I")
                .arg(self.path().join("include"))
                .arg(source)
                .arg("-L")
                .arg(&lib)
                .arg("-lclearlane_capi")
                .arg(format!("-Wl,-rpath,{}", lib.display()))
                .arg("-o")
                .arg(&program)
                .output()
                .unwrap()
        };
        if compile(&["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]).status.success() {
            return program;
        }
        println!("{compiler}: without AddressSanitizer");
        let plain = compile(&[]);
        assert!(plain.status.success(), "{compiler}: {}", String::from_utf8_lossy(&plain.stderr));
        program
    }

    /// Runs a program that has to succeed, and returns what it printed.
    pub(crate) fn run<A: AsRef<OsStr>>(program: &Path, arguments: &[A]) -> String {
        let Output { status, stdout, stderr } = Command::new(program).args(arguments).output().unwrap();
        let errors = String::from_utf8_lossy(&stderr);
        assert!(status.success(), "{}: {status}: {errors}", program.display());
        String::from_utf8(stdout).unwrap()
    }
}
