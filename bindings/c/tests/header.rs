//! The header is the one that cbindgen writes from this crate.
#![allow(missing_docs)]

use std::path::Path;

#[test]
fn the_header_is_this_crates() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let config = cbindgen::Config::from_file(root.join("cbindgen.toml")).expect("cbindgen.toml");
    let mut header = Vec::new();
    cbindgen::Builder::new()
        .with_config(config)
        .with_src(root.join("src/lib.rs"))
        .generate()
        .expect("a header")
        .write(&mut header);
    let path = root.join("include/heartlens.h");
    if std::env::var_os("HEARTLENS_BLESS").is_some() {
        std::fs::write(&path, &header).expect("the header is written");
    }
    let committed = std::fs::read(&path).unwrap_or_default();
    assert!(
        committed == header,
        "include/heartlens.h is not this crate's; HEARTLENS_BLESS=1 cargo test --test header writes it anew"
    );
}
