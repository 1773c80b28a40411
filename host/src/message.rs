//! How an error is told to people: in one line, each thing once.

use std::error::Error;

/// An error and its causes in one line. A cause whose text the line has already - errors that state their cause
/// themselves - is not said twice.
pub fn one_line(error: &(dyn Error + 'static)) -> String {
    let mut line = String::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let text = error.to_string();
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        if !line.contains(&text) {
            if !line.is_empty() {
                line.push_str(": ");
            }
            line.push_str(&text);
        }
        next = error.source();
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("a.onnx: cannot be read: {source}; a model is a folder")]
    struct Outer {
        source: std::io::Error,
    }

    #[derive(Debug, thiserror::Error)]
    #[error("while\n  loading")]
    struct Outermost(#[source] Outer);

    #[test]
    fn each_cause_is_said_once() {
        let outer = Outer {
            source: std::io::Error::other("no such file"),
        };
        let expected = "a.onnx: cannot be read: no such file; a model is a folder";
        assert_eq!(one_line(&outer), expected);
        assert_eq!(
            one_line(&Outermost(outer)),
            format!("while loading: {expected}")
        );
    }
}
