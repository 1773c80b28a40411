//! Puts the viewer's page into the command, where `cargo xtask package web` has made it. No build needs it: without it
//! `heartlens view` says what to do.

use std::path::Path;

fn main() {
    println!("cargo::rustc-check-cfg=cfg(page)");
    println!("cargo::rerun-if-changed=build.rs");
    // A library has no use for it, and the page is made of the library.
    if std::env::var_os("CARGO_FEATURE_CLI").is_none() {
        return;
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../bindings/web/dist");
    if !folder.is_dir() {
        return;
    }
    println!("cargo::rerun-if-changed={}", folder.display());
    let page = folder.join("heartlens.html");
    if page.is_file() {
        println!("cargo::rustc-env=HEARTLENS_PAGE={}", page.display());
        println!("cargo::rustc-cfg=page");
    }
}
