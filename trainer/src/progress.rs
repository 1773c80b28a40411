//! Progress bars.

use indicatif::ProgressBar;

/// A progress bar over `len` of `what`, on stderr, silent where that is no terminal.
pub(crate) fn bar(len: u64, what: &'static str) -> ProgressBar {
    let style = indicatif::ProgressStyle::with_template(
        "{elapsed_precise} {wide_bar} {pos}/{len} {msg} {per_sec} eta {eta}",
    )
    .unwrap_or_else(|_| indicatif::ProgressStyle::default_bar());
    ProgressBar::new(len).with_style(style).with_message(what)
}
