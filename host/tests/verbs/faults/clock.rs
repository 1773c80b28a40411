//! A clock that is wrong, or was set back: what is done is known by what files say, not by which is newer.

use super::{command, contents, done, held, records};
use std::fs::File;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

fn set(path: &Path, time: SystemTime) {
    File::options()
        .append(true)
        .open(path)
        .unwrap()
        .set_modified(time)
        .unwrap();
}

#[test]
fn a_record_is_done_again_where_it_changed_whatever_the_clock_says() {
    let since = Instant::now();
    let records = records(&["a", "b"], "0.5");
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let run = || {
        let mut classify = command(["classify", "--formats", "json", "--resume", "--out"]);
        done(&classify.arg(&out).arg(records.path()).output().unwrap())
    };
    let (a, b) = (records.path().join("a.dat"), records.path().join("b.dat"));
    let far = Duration::from_secs(20 * 365 * 86_400);
    let now = SystemTime::now();
    // Recorded by a clock that runs ahead.
    set(&a, now + far);
    set(&b, now + far);
    assert!(!run().contains("done before"));
    assert!(run().contains("2 of 2 records were done before"));
    let whole = contents(&out)["a.json"].clone();
    // Another record takes its place, and is older than the result, then older than 1970.
    let mut done_again = 0;
    for (from, time) in [
        (&b, now - far),
        (&a, UNIX_EPOCH - far),
        (&a, UNIX_EPOCH - 2 * far),
    ] {
        let bytes = std::fs::read(from).unwrap();
        std::fs::write(&a, bytes).unwrap();
        set(&a, time);
        assert!(
            run().contains("1 of 2 records were done before"),
            "{time:?}"
        );
        assert!(
            run().contains("2 of 2 records were done before"),
            "{time:?}"
        );
        done_again += 1;
    }
    assert!(
        contents(&out)["a.json"] != whole,
        "the other record's beats"
    );
    // Results of the future, and of the past, are results.
    for time in [now + far, UNIX_EPOCH] {
        set(&out.join("b.json"), time);
        set(&out.join("heartlens.jsonl"), time);
        assert!(run().contains("2 of 2 records were done before"));
    }
    held(
        "a clock set back",
        since,
        &format!("{done_again} changes seen, nothing done twice for a time alone"),
    );
}

/// The whole command with its clock twenty years back and ahead, where the library that lies about it is here.
#[test]
fn a_wrong_clock_changes_no_result() {
    let library = ["x86_64-linux-gnu", "aarch64-linux-gnu", "."].map(|folder| {
        Path::new("/usr/lib")
            .join(folder)
            .join("faketime/libfaketimeMT.so.1")
    });
    let Some(library) = library.into_iter().find(|library| library.exists()) else {
        return super::skipped("no libfaketime: apt-get install libfaketime");
    };
    let since = Instant::now();
    let records = records(&["a"], "0.5");
    let folder = tempfile::tempdir().unwrap();
    let run = |out: &str, clock: Option<&str>| {
        let mut classify = command(["classify", "--resume", "--out"]);
        classify.arg(folder.path().join(out)).arg(records.path());
        if let Some(clock) = clock {
            classify.env("LD_PRELOAD", &library).env("FAKETIME", clock);
        }
        let said = done(&classify.output().unwrap());
        let mut found = contents(&folder.path().join(out));
        found.remove("heartlens.jsonl");
        (found, said)
    };
    let (expected, _) = run("out", None);
    for clock in ["-20y", "+20y", "@1970-01-01 00:00:01"] {
        assert!(run(clock, Some(clock)).0 == expected, "{clock}");
        assert!(
            run("out", Some(clock))
                .1
                .contains("1 of 1 records were done before"),
            "{clock}"
        );
    }
    held(
        "a wrong clock",
        since,
        "the same bytes 20 years back, ahead and in 1970",
    );
}
