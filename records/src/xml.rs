//! Formats in XML: how their text is read, and which of them a document is.

use super::samples::{malformed, read_whole};
use super::{Contents, ReadOptions, RecordError, aecg, muse, philips};
use roxmltree::{Document, Node, ParsingOptions};
use std::collections::BTreeSet;
use std::path::Path;

/// The most nodes of a document that is read.
const MAX_NODES: u32 = 1_000_000;

/// The most attributes of an element that is read.
const MAX_ATTRIBUTES: usize = 1000;
/// The most nodes around one that is read.
const MAX_DEPTH: usize = 100;
/// The most prefixes of name spaces of a document that is read.
const MAX_PREFIXES: usize = 32;

/// Opens an XML file of one of the formats.
pub(super) fn open(path: &Path, _: &ReadOptions) -> Result<Contents, RecordError> {
    let bytes = read_whole(path)?;
    let text = text(bytes);
    check_cost(path, &text)?;
    let options = ParsingOptions {
        allow_dtd: true,
        nodes_limit: MAX_NODES,
        ..ParsingOptions::default()
    };
    let document = Document::parse_with_options(&text, options).map_err(|error| {
        let at = error.pos();
        let place = format!("line {}, column {}", at.row, at.col);
        malformed(path, place, error.to_string(), "well-formed XML")
    })?;
    // Readers look through all that is in an element, and again in each element in it.
    let around = |node: &Node<'_, '_>| node.ancestors().skip(1).take(MAX_DEPTH + 1).count();
    if let Some(deep) = document.descendants().find(|n| around(n) > MAX_DEPTH) {
        return Err(malformed(
            path,
            place(deep),
            "an element within too many others",
            format!("at most {MAX_DEPTH}"),
        ));
    }
    let root = document.root_element();
    match root.tag_name().name() {
        "AnnotatedECG" => aecg::read(path, root),
        "RestingECG" => muse::read(path, root),
        "restingecgdata" => philips::read(path, root),
        name => Err(malformed(
            path,
            "root element",
            name,
            "AnnotatedECG (HL7 aECG), RestingECG (GE MUSE) or restingecgdata (Philips)",
        )),
    }
}

/// Refuses what takes the parser more than time and memory in proportion to the document: entities of its own, which may stand for
/// any length of text each time they are named; elements of very many attributes, each of which is compared with all others; and
/// name spaces within one another, which are too. No format has any of these.
fn check_cost(path: &Path, text: &str) -> Result<(), RecordError> {
    if text.contains("<!ENTITY") {
        let found = "entities that the document defines";
        return Err(malformed(path, "DOCTYPE", found, "none"));
    }
    let prefixes: BTreeSet<&str> = text
        .split("xmlns:")
        .skip(1)
        .filter_map(|rest| rest.split(|c: char| c == '=' || c.is_whitespace()).next())
        .collect();
    if prefixes.len() > MAX_PREFIXES {
        return Err(malformed(
            path,
            "the whole document",
            format!("{} prefixes of name spaces", prefixes.len()),
            format!("at most {MAX_PREFIXES}"),
        ));
    }
    // No value of an attribute has a `<` in it.
    for (at, element) in text.match_indices('<').zip(text.split('<').skip(1)) {
        let values = element.split('=').skip(1);
        let attributes = values.filter(|value| value.trim_start().starts_with(['"', '\'']));
        let found = attributes.count();
        if found > MAX_ATTRIBUTES {
            let line = 1 + text[..at.0].matches('\n').count();
            return Err(malformed(
                path,
                format!("line {line}"),
                format!("an element of {found} attributes"),
                format!("at most {MAX_ATTRIBUTES}"),
            ));
        }
    }
    Ok(())
}

/// The text of a file: UTF-16 where it begins so, or else UTF-8 or Latin-1.
fn text(bytes: Vec<u8>) -> String {
    let wide = |word: fn([u8; 2]) -> u16| -> String {
        let words = bytes[2..]
            .chunks_exact(2)
            .map(|pair| word([pair[0], pair[1]]));
        char::decode_utf16(words)
            .map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER))
            .collect()
    };
    let text = match bytes[..] {
        [0xff, 0xfe, ..] => wide(u16::from_le_bytes),
        [0xfe, 0xff, ..] => wide(u16::from_be_bytes),
        _ => String::from_utf8(bytes)
            .unwrap_or_else(|error| error.as_bytes().iter().map(|&b| char::from(b)).collect()),
    };
    // The declaration names an encoding that this text no longer has.
    text.trim_start_matches('\u{feff}').to_owned()
}

/// The elements below `node` of this name, at any depth.
pub(super) fn all<'a, 'b: 'a>(
    node: Node<'a, 'b>,
    name: &'static str,
) -> impl Iterator<Item = Node<'a, 'b>> {
    node.descendants()
        .filter(move |n| *n != node && n.has_tag_name_of(name))
}

/// The first element below `node` of this name, at any depth.
pub(super) fn first<'a, 'b: 'a>(node: Node<'a, 'b>, name: &'static str) -> Option<Node<'a, 'b>> {
    all(node, name).next()
}

/// The text of the first element of this name, trimmed; `None` where it is empty or absent.
pub(super) fn first_text<'a>(node: Node<'a, '_>, name: &'static str) -> Option<&'a str> {
    let text = first(node, name)?.text()?.trim();
    (!text.is_empty()).then_some(text)
}

/// All of an element's own text: comments may stand in the middle of it.
pub(super) fn whole_text(node: Node<'_, '_>) -> String {
    node.children()
        .filter(Node::is_text)
        .filter_map(|text| text.text())
        .collect()
}

/// An element's name without its name space.
trait HasTagNameOf {
    fn has_tag_name_of(&self, name: &str) -> bool;
}

impl HasTagNameOf for Node<'_, '_> {
    fn has_tag_name_of(&self, name: &str) -> bool {
        self.is_element() && self.tag_name().name() == name
    }
}

/// The line of an element, for messages.
pub(super) fn place(node: Node<'_, '_>) -> String {
    let at = node.document().text_pos_at(node.range().start);
    format!("line {}, {}", at.row, node.tag_name().name())
}

/// The bytes that a text in base 64 stands for.
pub(super) fn bytes_of_base64(path: &Path, node: Node<'_, '_>) -> Result<Vec<u8>, RecordError> {
    use base64::Engine;
    let mut digits: Vec<u8> = whole_text(node).into_bytes();
    digits.retain(|byte| !byte.is_ascii_whitespace() && *byte != b'=');
    base64::engine::general_purpose::STANDARD_NO_PAD
        .decode(digits)
        .map_err(|error| malformed(path, place(node), error.to_string(), "samples in base 64"))
}
