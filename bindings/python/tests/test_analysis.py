"""What a record's analysis gives: figures, plot, report, evaluation."""

import json

import pytest

import heartlens as hl


@pytest.fixture(scope="module")
def analysis(demo):
    return hl.read(demo).classify(lead="best")


def test_figures_are_those_of_the_command(analysis, demo, command):
    whole = json.loads(command("classify", demo, "--lead", "best", "--json", "-"))
    assert plain(analysis.summary) == whole["summary"] and plain(analysis.hrv) == whole["hrv"]
    assert analysis.warnings == whole["warnings"] and analysis.lead_reason == whole["lead_reason"]
    assert len(analysis.episodes) == len(whole["episodes"])
    assert analysis.mode == whole["mode"] == "streaming"
    assert (analysis.model, analysis.runtime, analysis.record) == ("beat", "int8", "demo")
    assert analysis.summary.counts["V"] == whole["summary"]["counts"]["V"]
    with pytest.raises(AttributeError, match="no figure 'x'; there are beats"):
        analysis.summary.x
    with pytest.raises(AttributeError):
        analysis.summary.beats = 1


def plain(value):
    if isinstance(value, hl.Figures):
        return {name: plain(item) for name, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list) else value


def test_a_report_is_that_of_the_command(analysis, demo, command, tmp_path):
    analysis.report(tmp_path / "mine.html", title="Night", comment="of the demo")
    command(
        "classify", demo, "--lead", "best", "--report", tmp_path / "theirs.html", "--title", "Night", "--comment", "of the demo"
    )
    assert (tmp_path / "mine.html").read_bytes() == (tmp_path / "theirs.html").read_bytes()


def test_a_plot_is_shown_in_a_notebook(analysis):
    svg = analysis.plot(60, 10)
    assert svg.startswith("<svg") and svg == svg._repr_svg_() and isinstance(svg, str)
    assert "from 0:01:00" in svg and "classes by model beat in int8" in svg
    assert analysis.plot(60, 10) == svg != analysis.plot(61, 10)


def test_an_array_has_all_of_it_too(demo):
    record = hl.signal(hl.read(demo).signal(0), 360, lead_names=["II"])
    analysis = record.classify()
    assert analysis.leads == ["II"] and record.path is None and record.duration_s == 300
    assert analysis.summary.beats == len(analysis.beats) and analysis.plot(0, 7).startswith("<svg")


def test_evaluation_is_that_of_the_command(demo, command, tmp_path):
    command("evaluate", demo, "--from", "0", "--json", tmp_path / "theirs.json")
    heard = hl.evaluate(demo, from_s=0)
    assert plain(heard) == json.loads((tmp_path / "theirs.json").read_text())
    assert 0.9 < heard.qrs.se <= 1 and heard["classes"]["V"]["f1"] == heard.classes.V.f1


def test_evaluation_of_real_records(data):
    folder = data / "mitdb"
    if not (folder / "101.hea").is_file():
        pytest.skip(f"{folder} is not there")
    paths = [folder / "101", folder / "208"]
    figures = hl.evaluate(paths, lead=0, without=["208"], resamples=10)
    assert figures.qrs.se > 0.99 and figures.records == 2 and figures.without["208"].records == 1
    reference = hl.evaluate(paths, lead=0, peaks="reference", resamples=10, model=hl.Model.shipped())
    assert reference.classes.V.f1 > 0.8
