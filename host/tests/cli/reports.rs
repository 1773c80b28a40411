//! Reports as people read them: their title and comment, and that of an evaluation.

use super::{heartlens, refused, stderr};
use heartlens::synth::{Options, Recording};
use std::fs;

#[test]
fn a_report_has_the_title_and_the_comment_that_it_is_given() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("report.html");
    let classify = |more: &[&str]| {
        let path = path.to_str().unwrap();
        let args = ["classify", "models/demo/demo", "--report", path];
        let output = heartlens(args.iter().chain(more));
        assert!(output.status.success(), "{}", stderr(&output));
        fs::read_to_string(path).unwrap()
    };
    let plain = classify(&[]);
    assert!(plain.contains("<h1>ECG beat report: demo</h1>"));
    assert!(plain.contains("<figure class=\"hour\""));
    let told = classify(&[
        "--title",
        "A <b> & C",
        "--comment",
        "for Dr. X",
        "--no-disclosure",
    ]);
    assert!(told.contains("<h1>A &lt;b&gt; &amp; C</h1>"));
    assert!(told.contains("<p class=\"comment\">for Dr. X</p>"));
    assert!(!told.contains("<figure class=\"hour"));
    for page in [&plain, &told] {
        let first = &page[page.find("<body>").unwrap()..];
        let notice = first
            .find("Research software, not a medical device")
            .unwrap();
        assert!(notice < first.find("Not judged:").unwrap());
        assert!(first.find("Not judged:").unwrap() < first.find("<article").unwrap());
    }
}

/// Two records, of which one is annotated wrongly on purpose: it comes first, and its errors are shown.
#[test]
fn an_evaluation_shows_the_worst_record_first() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    fs::create_dir(&data).unwrap();
    for (name, seed) in [("good", 1), ("odd", 2)] {
        let options = Options {
            minutes: 7.0,
            seed,
            ..Options::default()
        };
        Recording::generate(&options)
            .unwrap()
            .write(&data.join(name))
            .unwrap();
    }
    // The odd one gets the other's annotations.
    fs::copy(data.join("good.atr"), data.join("odd.atr")).unwrap();
    let report = folder.path().join("report.html");
    let run = |report: &std::path::Path| {
        heartlens([
            "evaluate".as_ref(),
            data.as_os_str(),
            "--report".as_ref(),
            report.as_os_str(),
        ])
    };
    let output = run(&report);
    assert!(output.status.success(), "{}", stderr(&output));
    let page = fs::read_to_string(&report).unwrap();
    let rows = &page[page.find("<table class=\"records\"").unwrap()..];
    assert!(rows.find("data/odd").unwrap() < rows.find("data/good").unwrap());
    assert!(rows.contains("<a href=\"#errors-0\">data/odd</a>"));
    let errors = &page[page.find("id=\"errors-0\"").unwrap()..];
    assert!(errors.contains("<svg class=\"paper\"") && errors.contains("N not found"));
    assert!(page.contains("Evaluation of 2 records") && page.ends_with("</html>"));
    assert!(page.contains("Research software, not a medical device"));
    assert_eq!(page.matches("http").count(), 0);

    refused(&run(&data.join("odd.dat")), &["odd.dat", "--report"]);
    assert!(data.join("odd.dat").metadata().unwrap().len() > 1000);
}
