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

/// A message in its parts, for whoever asks an error and not a reader.
///
/// Messages of this project say `FILE: PLACE: found WHAT, expected WHAT; HELP`, each part but the first where there is one.
///
/// ```
/// use heartlens::message::Parts;
///
/// let message = "a.edf: byte 236: found `x` as number of data records, expected a whole number";
/// let parts = Parts::of(message, Some("a.edf"));
/// assert_eq!(parts.place.as_deref(), Some("byte 236"));
/// assert_eq!(parts.found.as_deref(), Some("`x` as number of data records"));
/// assert_eq!(parts.expected.as_deref(), Some("a whole number"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Parts {
    /// The file or record that was given.
    pub file: Option<String>,
    /// Where in it, or what was wrong.
    pub place: Option<String>,
    /// What is there.
    pub found: Option<String>,
    /// What should be.
    pub expected: Option<String>,
}

impl Parts {
    /// The parts of a message of one line about this file.
    pub fn of(message: &str, file: Option<&str>) -> Self {
        let (mut file, mut rest) = (file.map(str::to_owned), message);
        let own = file
            .as_deref()
            .and_then(|file| message.strip_prefix(file)?.strip_prefix(": "));
        if let Some(own) = own {
            rest = own;
        } else if let Some((path, own)) = message.split_once(": ")
            && (path.contains('/') || path.contains('.'))
            && !path.contains(' ')
        {
            // The message names another: the header of a record, a file of a model.
            (file, rest) = (Some(path.to_owned()), own);
        }
        let expected = rest.split_once("expected ").map(|(_, expected)| expected);
        let before = rest.split(", expected ").next().unwrap_or(rest);
        let before = before.split("; expected ").next().unwrap_or(before);
        let clause = |text: &str| text.split("; ").next().unwrap_or(text).to_owned();
        let (place, found) = match before.split_once("found ") {
            Some((place, found)) => (place, Some(clause(found))),
            None => match expected {
                Some(_) => ("", Some(clause(before))),
                None => ("", None),
            },
        };
        let place = place.trim().trim_end_matches(':');
        Self {
            file,
            place: (!place.is_empty()).then(|| place.to_owned()),
            found,
            expected: expected.map(clause),
        }
    }
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
    fn messages_come_apart() {
        let parts = |message, file| {
            let Parts {
                file,
                place,
                found,
                expected,
            } = Parts::of(message, file);
            [file, place, found, expected].map(Option::unwrap_or_default)
        };
        assert_eq!(
            parts(
                "signal: sample rate: found 0 Hz, expected one above 0 Hz",
                Some("signal")
            ),
            ["signal", "sample rate", "0 Hz", "one above 0 Hz"]
        );
        assert_eq!(
            parts("d/x: no such record; expected a WFDB record", Some("d/x")),
            ["d/x", "", "no such record", "a WFDB record"]
        );
        // A record's header is named where the record was given.
        assert_eq!(
            parts(
                "d/x.hea: line 2: found `a` as gain, expected a number; see signal(5)",
                Some("d/x")
            ),
            ["d/x.hea", "line 2", "`a` as gain", "a number"]
        );
        assert_eq!(parts("cancelled", None), ["", "", "", ""]);
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
