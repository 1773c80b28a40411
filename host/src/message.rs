//! How a command tells of an error: in one line, each thing once.

use std::error::Error;

/// An error and its causes in one line. A cause whose text the line has already - errors that state their cause
/// themselves - is not said twice.
pub fn one_line(error: &(dyn Error + 'static)) -> String {
    let mut line = String::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let text = error.to_string();
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        // What a file or a name holds must not act on the terminal.
        let text: String = text
            .chars()
            .map(|c| match c.is_control() {
                true => c.escape_default().to_string(),
                false => c.to_string(),
            })
            .collect();
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

/// Whether an error comes down to a reader that closed our pipe: for a command that writes results, a success.
pub fn is_broken_pipe(error: &(dyn Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(io) = error.downcast_ref::<std::io::Error>()
            && io.kind() == std::io::ErrorKind::BrokenPipe
        {
            return true;
        }
        next = error.source();
    }
    false
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
    fn control_characters_are_shown() {
        let error = std::io::Error::other("\u{1b}[2Jgone\u{7}");
        assert_eq!(one_line(&error), "\\u{1b}[2Jgone\\u{7}");
    }

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
