//! The shared library's name holds the ABI's number, so that a program is never run with another ABI than it was linked for.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "linux") {
        println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,libclearlane_capi.so.1");
    }
}
