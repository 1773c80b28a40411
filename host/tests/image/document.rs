//! The example of `docs/model-image.md` is what the writer makes.

use crate::programs::smallest;
use heartlens::compile::image::write;
use heartlens_core::model::format::{Header, Input, Label, Step, Tensor};
use std::fmt::Write as _;
use std::path::Path;

/// What stands before the example's bytes in the document, and after them.
const FENCES: [&str; 2] = ["<!-- example -->\n```text\n", "```\n<!-- /example -->"];

/// Sixteen bytes a line: offset, bytes.
fn dump(image: &[u8]) -> String {
    let mut text = String::new();
    for (line, bytes) in image.chunks(16).enumerate() {
        let bytes: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        writeln!(text, "{:04x}  {}", 16 * line, bytes.join(" ")).expect("a string takes anything");
    }
    text
}

#[test]
fn the_documents_example_is_what_is_written() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/model-image.md");
    let document = std::fs::read_to_string(&path).expect("the document");
    let (before, rest) = document.split_once(FENCES[0]).expect("an example");
    let (example, after) = rest.split_once(FENCES[1]).expect("the example's end");
    let expected = dump(&write(&smallest()).expect("an image"));
    if std::env::var_os("HEARTLENS_BLESS").is_some() {
        let document = [before, FENCES[0], &expected, FENCES[1], after].concat();
        std::fs::write(&path, document).expect("the document is written");
        return;
    }
    assert_eq!(
        example, expected,
        "HEARTLENS_BLESS=1 cargo test -p heartlens --test image example writes it anew"
    );
}

/// The offsets of the document's tables: a change of a record is a new version of the format.
#[test]
fn records_have_the_sizes_of_the_document() {
    let sizes = [
        size_of::<Header>(),
        size_of::<Label>(),
        size_of::<Input>(),
        size_of::<Tensor>(),
        size_of::<Step>(),
    ];
    assert_eq!(sizes, [80, 12, 8, 20, 52]);
}
