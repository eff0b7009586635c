"""``synctool export`` as a person and as a program sees it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

import fake_exporters
import flicker
from fake_exporters import flicker_sample
from fake_samples import write_processed
from synctool.cli import app
from synctool.cli.export_completion import complete_format, complete_int8, complete_parts
from synctool.exporting import check as export_check
from synctool.exporting import latency
from synctool.exporting.formats.checks import (
    AccuracyChange,
    Difference,
    ExportReport,
    GraphFigures,
    Share,
    Speed,
)
from synctool.networks.build import build
from synctool.report.export_table import export_view
from synctool.training.checkpoint import metadata, save_weights

pytestmark = pytest.mark.integration


@pytest.fixture(autouse=True)
def _formats(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    for module in (export_check, latency):
        monkeypatch.setattr(module, "usable_cores", lambda: 1)  # threads cost tiny networks a lot
    for name in ("_RUNS", "_LEAST_RUNS"):
        monkeypatch.setattr(latency, name, 1)
    monkeypatch.chdir(tmp_path)
    flicker.save_weights(tmp_path / "w.safetensors", backbone="scored")
    with fake_exporters.installed():
        yield


SMALL = ("-b", "scored", "--weights", "w.safetensors", "--windows", "3", "--out", "out")


def run(*words: str) -> int:
    return app.main(["export", *words])


def test_an_export_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*SMALL, "--format", "fake") == 0
    told = capsys.readouterr()
    assert told.err == ""
    lines = told.out.splitlines()
    assert lines[0] == "scored, fake float32: answers as PyTorch does"
    assert "made-up windows: give --clips for a check on real ones" in told.out
    assert "% of PyTorch's 4 B" in told.out
    assert "Differences from PyTorch" in told.out
    assert "Milliseconds per second of video" in told.out
    assert lines[-1] == "use it: synctool detect VIDEO --backbone scored --weights out"
    assert Path("out/synctool.json").is_file()
    assert run(*SMALL, "--format", "fake-fixed") == 0
    assert "use it" not in capsys.readouterr().out, "videos are not all of one length"


def test_real_clips_a_set_and_eight_bits(capsys: pytest.CaptureFixture[str]) -> None:
    write_processed(Path("p"), [flicker_sample(f"c{i}", seed=i) for i in range(3)])
    words = ("-f", "fake", "--int8", "static", "--clips", "p", "--dataset", "p", "--limit", "2")
    assert run(*SMALL, *words) == 0
    told = capsys.readouterr().out
    assert "scored, fake int8-static" in told
    assert "3 real windows" in told
    assert "Accuracy on 2 clips of 2 people" in told
    assert "windows of 5 frames" in told


def test_json_on_the_standard_output_is_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*SMALL, "--format", "fake", "--json", "-") == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["schema"], report["passed"]) == ("synctool.export-report/1", True)
    assert report["graphs"][0]["differences"]["video"]["maximum"] < 1e-5
    assert run(*SMALL, "--format", "fake", "--quiet", "--json", "r.json") == 0
    assert capsys.readouterr() == ("", "")
    assert json.loads(Path("r.json").read_text())["folder"] == "out"


def test_a_failed_check_ends_with_1_and_its_report(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*SMALL, "--format", "fake-late", "--json", "r.json") == 1
    told = capsys.readouterr()
    assert told.out.startswith("scored, fake-late float32: did not pass the check")
    assert "use it" not in told.out
    assert told.err.startswith("error: scored in fake-late (float32) did not pass the check: video")
    assert "kept in" in told.err
    assert "out.failed-check" in told.err
    assert json.loads(Path("r.json").read_text())["problems"]
    assert not Path("out").exists()


def test_what_cannot_be_checked_is_said_loudly(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*SMALL, "--format", "fake-elsewhere") == 0
    told = capsys.readouterr().out
    assert "NOT CHECKED HERE: fake-elsewhere runs on Plan9 only" in told.splitlines()[0]
    assert "compared on" not in told


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--format", "fake"], 2, "--out is missing"),
        ([*SMALL, "--format", "fake", "--half", "--int8", "static"], 2, "Give one of them"),
        ([*SMALL, "--format", "fake", "--int8", "statick"], 2, "static or dynamic"),
        ([*SMALL, "--format", "fake", "--windows", "0"], 2, "at least 1"),
        ([*SMALL, "--format", "fake-tool"], 5, "pip install 'synctool[magic]'"),
        ([*SMALL, "--format", "fake", "--clips", "none.mp4"], 5, "no such file: none.mp4"),
        ([*SMALL, "--format", "fake", "--json", "no/r.json"], 1, "cannot write no/r.json"),
        ([*SMALL, "--format", "fake", "--json", "w.safetensors"], 2, "would be overwritten"),
        ([*SMALL, "--format", "fake", "-b", "flicker"], 1, "weights of scored, not of flicker"),
    ],
)
def test_mistakes(
    words: list[str], code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*words) == code
    assert said in capsys.readouterr().err
    assert not Path("out").exists()
    assert Path("w.safetensors").is_file()


def test_an_exported_model_is_not_exported_again(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*SMALL, "--format", "fake", "-q") == 0
    again = ["-b", "scored", "--weights", "out", "--out", "again", "--format", "fake"]
    assert run(*again) == 2
    assert "out is an exported model already" in capsys.readouterr().err


def test_ctrl_c_leaves_nothing() -> None:
    before = sorted(Path().iterdir())
    assert run(*SMALL, "--format", "fake-interrupted") == 130
    assert sorted(Path().iterdir()) == before


def test_the_formats_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--list-formats") == 0
    table = capsys.readouterr().out.splitlines()
    assert table[0].split() == ["NAME", "PRECISIONS", "WRITES", "RUNS", "SUMMARY"]
    rows = {line.split()[0]: line for line in table[1:]}
    assert {"onnx", "torchscript", "openvino", "coreml", "tflite", "tensorrt"} <= rows.keys()
    assert "pip install 'synctool[magic]'" in rows["fake-tool"]
    assert "no: fake-elsewhere runs on Plan9 only" in rows["fake-elsewhere"]
    assert run("--list-formats", "--json", "-") == 0
    listed = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert listed["fake"]["can_write"] is listed["fake"]["can_run"] is True
    assert listed["fake-tool"]["can_write"] is False


def test_names_are_completed() -> None:
    assert complete_format("fake-l") == ["fake-late"]
    assert "onnx" in complete_format("")
    assert complete_parts("v") == ["video"]
    assert complete_parts("") == ["video", "audio", "head", "one"]
    assert complete_parts("video,") == ["video,audio", "video,head"]
    assert complete_int8("s") == ["static"]


def test_a_small_network_goes_all_the_way_to_onnx(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("onnxscript")
    small = {"embedding": 16, "width": 4}
    _, network = build("fcn-cls", **small)
    facts = {"backbone": "fcn-cls", "options": small}
    save_weights(tmp_path / "small.safetensors", network.state_dict(), metadata(facts))
    words = ("--weights", "small.safetensors", "--windows", "4", "--out", "out")
    assert run(*words, "--parts", "audio", "--json", "-") == 0
    report = json.loads(capsys.readouterr().out)
    assert report["passed"] is True
    assert [graph["name"] for graph in report["graphs"]] == ["audio"]
    assert 0 < report["scores"]["relative"] < 1e-3
    manifest = json.loads((tmp_path / "out/synctool.json").read_text())
    assert manifest["options"] == small
    assert manifest["embedding_size"] == 16


# --------------------------------------------------------------------------- on a terminal

REPORT = ExportReport(
    format="onnx",
    precision="int8-static",
    backbone="fcn-cls",
    weights="fcn-cls.v2 sha256:83b7affb6bb2f656",
    licence="MIT; trained on GRID (CC BY 4.0) and LRW-AR clips, see the model card",
    folder="/somewhere/[red]out",
    checked=True,
    unchecked_because="",
    problems=(),
    windows=100,
    real=True,
    agreement=0.985,
    scores=Difference(0.28, 0.037, 0.063),
    tolerance=0.5,
    least_agreement=0.97,
    torch_bytes=16_200_000,
    graphs=(
        GraphFigures("video", "video.onnx", 2_580_000, {"video": Difference(1e-2, 1e-3, 7e-2)}),
        GraphFigures("head", "head.onnx", 56_300, {}),
    ),
    speeds=(Speed("video", 1, 1234.5, 21.1), Speed("video", 2, 9999, 21.1)),
    accuracy=(
        AccuracyChange(
            "clips", 0, 47, 7, Share(0.95, 0.9, 1.0), Share(0.94, 0.9, 1), Share(-0.01, -0.02, 0)
        ),
    ),
    pruned=0.3,
    notes=("a note",),
)


@pytest.mark.parametrize("width", [80, 120])
def test_a_report_fits_a_terminal(width: int) -> None:
    console = Console(width=width, record=True)
    console.print(export_view(REPORT))
    told = console.export_text()
    lines = told.splitlines()
    assert max(map(len, lines)) <= width
    assert "/somewhere/[red]out" in told
    assert "98.5 % of the windows (at least 97 %)" in told
    assert "2.64 MB; PyTorch's whole network: 16.2 MB" in told
    assert "30 % of the channels taken out" in told
    (speed,) = (line.split() for line in lines if line.startswith("video  ") and "1234" in line)
    assert speed == ["video", "1", "1234", "21.1", "58.51"]
    (busy,) = (line.split() for line in lines if line.startswith("video") and "9999" in line)
    assert busy[-1] == "-", "a comparison with a busy machine says nothing"
    (clips,) = (line for line in lines if line.startswith("whole clips"))
    assert clips.split()[-7:] == ["94", "%", "-1.00", "points", "-2.00", "to", "0.00"]
    (head,) = (line for line in lines if line.startswith("head"))
    assert head.split()[-3:] == ["-", "-", "-"]


def test_a_report_says_what_is_wrong() -> None:
    console = Console(width=80, record=True)
    console.print(export_view(replace(REPORT, problems=("video: [bold]odd[/bold]",))))
    told = console.export_text()
    assert "did not pass the check" in told
    assert "video: [bold]odd[/bold]" in told
