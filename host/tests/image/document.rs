//! The examples of the documents of formats are what the code writes.

use crate::programs::smallest;
use heartlens::compile::image::write;
use heartlens_core::link::{FromHost, PACKET_MAX, Sender};
use heartlens_core::model::format::{Header, Input, Label, Step, Tensor};
use heartlens_core::rhythm;
use heartlens_core::spec::RHYTHM_HASH;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// What stands before the example's bytes in the document, and after them.
const FENCES: [&str; 2] = ["<!-- example -->\n```text\n", "```\n<!-- /example -->"];

/// Sixteen bytes a line: offset, bytes.
fn dump(image: &[u8]) -> String {
    let mut text = String::new();
    for (line, bytes) in image.chunks(16).enumerate() {
        writeln!(text, "{:04x}  {}", 16 * line, hex(bytes)).expect("a string takes anything");
    }
    text
}

fn path_of(document: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../docs")
        .join(document)
}

fn read(document: &str) -> String {
    std::fs::read_to_string(path_of(document)).expect("the document")
}

fn hex(bytes: &[u8]) -> String {
    let bytes: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    bytes.join(" ")
}

#[test]
fn the_packet_of_the_link_is_what_is_sent() {
    let mut buffer = [0; PACKET_MAX];
    let message = FromHost::Samples {
        first: 300,
        counts: &[1, 0, 0xff, 0xff],
    };
    let packet = hex(Sender::new().packet(&message, &mut buffer).expect("fits"));
    assert!(read("link.md").contains(&packet), "{packet}");
}

/// An image of the rhythm network with 12 cells, whose weights count steps of 1/512.
#[test]
fn the_beginning_of_a_rhythm_image_is_an_images() {
    let document = read("rhythm-image.md");
    let mut bytes = rhythm::MAGIC.to_vec();
    bytes.extend(rhythm::VERSION.to_le_bytes());
    bytes.extend(RHYTHM_HASH.to_le_bytes());
    bytes.extend(12_u32.to_le_bytes());
    bytes.extend((1.0_f32 / 512.0).to_le_bytes());
    let parts: Vec<String> = bytes.chunks(8).map(hex).collect();
    let example = parts.join("  ");
    assert!(document.contains(&example), "{example}");
    assert_eq!(rhythm::image_len(12), 1496);
    assert!(document.contains("An image of 12 cells is 1,496 bytes long"));
}

#[test]
fn the_documents_example_is_what_is_written() {
    let path = path_of("model-image.md");
    let document = read("model-image.md");
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
