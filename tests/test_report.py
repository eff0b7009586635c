"""Results on the terminal, as JSON and as CSV."""

from __future__ import annotations

import csv
import io
import json
import os
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from fake_results import inconclusive, made_result, series
from synctool.errors import MissingError, OutputError
from synctool.report.csv_out import COLUMNS, to_csv, write_csv
from synctool.report.json_out import to_json, to_json_line, write_json
from synctool.report.outcome import Failure
from synctool.report.terminal import print_result, print_summary
from synctool.report.text import clock, printable, shortened, signed
from synctool.scoring.verdict import sentence
from synctool.types import Segment, Track

NAMES = [
    "plain.mp4",
    'it\'s a "video", really.mp4',
    "😀 映画 فيلم $\\frac{$.mp4",
    "[bold]no markup[/bold] [/] :smile:.mp4",
    "tab\tand\nline\x1b[31m.mp4",
    os.fsdecode(b"not \xff unicode.mp4"),
    "long" * 60 + ".mp4",
    "",
]
FAILURE = Failure.of(
    "gone.mp4", MissingError("no such file: gone.mp4", remedy="Check the path and its spelling.")
)

DOCUMENTED = {
    "": "schema input backbone weights runtime synctool source offset_frames offset_ms audio_is confidence"
    " audio_belongs verdict reason reason_code max_offset coverage verdict_coverage drift_ms_per_min"
    " drift_interval_ms_per_min"
    " syncnet_confidence min_distance"
    " segments tracks speakers frames timing_s authenticity audio_channels audio_direction scene"
    " offset_set ensemble",
    "source": "duration_s video_fps video_start_s audio_start_s width_px height_px audio_hz"
    " turned_deg warnings tracks channel unread_s unread_share timecode",
    "segments": "start_s end_s offset_frames confidence offset_set",
    "tracks": "id start_s end_s box_px speaking offset_frames confidence",
    "frames": "t_s offset_frames confidence",
}


def shown(view, *arguments, width: int = 120, encoding: str = "utf-8", **more) -> str:
    """What a printing function puts on a console without colours."""
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, encoding=encoding, newline="\n")
    view(*arguments, console=Console(file=file, width=width, **more))
    file.flush()
    return raw.getvalue().decode(encoding)


# ------------------------------------------------------------------------------------------- JSON


def test_the_keys_of_json_are_the_documented_ones() -> None:
    data = json.loads(to_json(made_result()))
    assert set(data) == set(DOCUMENTED[""].split())
    assert data["schema"] == "synctool.detect/1"
    for key in ("source", "frames"):
        assert set(data[key]) == set(DOCUMENTED[key].split())
    for key in ("segments", "tracks"):
        assert set(data[key][0]) == set(DOCUMENTED[key].split())
    assert (data["offset_frames"], data["offset_ms"], data["audio_is"]) == (3.0, 120, "ahead")


def test_json_of_an_inconclusive_video() -> None:
    data = json.loads(to_json(inconclusive("the audio is silent")))
    assert data["offset_frames"] is data["offset_ms"] is data["audio_is"] is None
    assert (data["verdict"], data["reason"]) == ("inconclusive", "the audio is silent")


def test_nan_never_appears() -> None:
    nan = float("nan")
    video = made_result(
        min_distance=nan, frames=series(nan, 1.0, None), timing_s={"total": float("inf")}
    )

    def refuse(word: str) -> None:
        raise AssertionError(word)

    data = json.loads(to_json(video), parse_constant=refuse)
    assert data["min_distance"] is data["timing_s"]["total"] is None
    assert data["frames"]["offset_frames"] == [None, 1.0, None]
    assert "nan" not in to_csv([video])


def test_one_object_is_readable_and_several_are_lines(tmp_path: Path) -> None:
    one, several, single_line = tmp_path / "1.json", tmp_path / "n.jsonl", tmp_path / "1.jsonl"
    write_json([made_result()], one)
    assert json.loads(one.read_text("utf-8"))["input"] == "talk.mp4"
    assert 10 < len(one.read_text("utf-8").splitlines()) < 40
    videos = [made_result("a"), FAILURE, made_result("c")]
    write_json(videos, several)
    lines = [json.loads(line) for line in several.read_text("utf-8").splitlines()]
    assert [line["input"] for line in lines] == ["a", "gone.mp4", "c"]
    assert lines[1]["schema"] == "synctool.failure/1"
    assert lines[1]["error"] == "no such file: gone.mp4"
    assert lines[1]["exit_code"] == 5
    write_json([made_result()], single_line, lines=True)
    assert single_line.read_text("utf-8") == to_json_line(made_result())


@pytest.mark.parametrize("name", NAMES)
def test_json_keeps_every_name(name: str, tmp_path: Path) -> None:
    write_json([made_result(name)], tmp_path / "a.json")
    assert json.loads((tmp_path / "a.json").read_bytes())["input"] == name


@pytest.mark.parametrize("write", [write_json, write_csv])
def test_the_standard_output(write, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    print("before")
    write([made_result("😀.mp4")], "-")
    out = capfdbinary.readouterr().out
    assert out.startswith(b"before")
    assert "😀.mp4".encode() in out


def test_a_standard_output_that_takes_text_only(monkeypatch: pytest.MonkeyPatch) -> None:
    text = io.StringIO()
    monkeypatch.setattr(sys, "stdout", text)
    write_json([made_result("😀.mp4")], "-")
    assert json.loads(text.getvalue())["input"] == "😀.mp4"


@pytest.mark.parametrize("write", [write_json, write_csv])
def test_what_cannot_be_written_says_what_to_do(write, tmp_path: Path) -> None:
    with pytest.raises(OutputError) as caught:
        write([made_result()], tmp_path / "none" / "a")
    assert "Create the folder" in caught.value.remedy


# -------------------------------------------------------------------------------------------- CSV


@pytest.mark.parametrize("name", NAMES[:-3])
def test_csv_comes_back(name: str, tmp_path: Path) -> None:
    video = made_result(name, reason='a "reason", with\nall sorts')
    write_csv([video, FAILURE, inconclusive("too short")], tmp_path / "a.csv")
    with (tmp_path / "a.csv").open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        rows = list(reader)
    assert tuple(reader.fieldnames) == COLUMNS
    assert rows[0]["input"] == name
    assert rows[0]["reason"] == video.reason
    figures = ("offset_ms", "offset_frames", "audio_is", "segments", "width_px", "total_s", "error")
    assert [rows[0][key] for key in figures] == ["120", "3.0", "ahead", "1", "1920", "0.5", ""]
    assert rows[1]["error"] == "no such file: gone.mp4. Check the path and its spelling."
    assert rows[1]["verdict"] == ""
    assert (rows[2]["offset_ms"], rows[2]["verdict"]) == ("", "inconclusive")


def test_csv_of_a_name_that_is_no_unicode(tmp_path: Path) -> None:
    write_csv([made_result(os.fsdecode(b"\xff.mp4"))], tmp_path / "a.csv")
    assert b"\\udcff.mp4" in (tmp_path / "a.csv").read_bytes()


# --------------------------------------------------------------------------------------- terminal


def test_one_video_begins_with_the_sentence() -> None:
    text = shown(print_result, made_result())
    first, *rest = text.splitlines()
    assert first == f"talk.mp4: {sentence(made_result())}"
    figures = {line.split("  ")[0]: line for line in rest}
    for name, part in {
        "offset": "+120 ms (audio ahead, +3.00 frames)",
        "confidence": "0.98",
        "coverage": "97 % (share with a face)",
        "drift": "0.0 ms/min (less than a frame over the video)",
        "LSE-C": "10.000",
        "LSE-D": "5.400",
        "video": "1920 x 1080, 25 frames/s",
        "model": "fcn-cls",
        "speed": "8 x real time",
    }.items():
        assert part in figures[name]
    assert "Segments" not in text and "Faces" not in text


@pytest.mark.parametrize(
    ("drift", "interval", "words"),
    [
        (
            0.0,
            (-1.5, 2.0),
            "0.0 ms/min (none seen; 95 % interval -1.5 to +2.0: at most 1 ms over the video)",
        ),
        (
            0.0,
            (-900.0, 800.0),
            "none seen; 95 % interval -900.0 to +800.0: at most 60 ms over the video",
        ),
        (900.0, (800.0, 1000.0), "95 % interval +800.0 to +1000.0; a frame or more over the video"),
    ],
)
def test_drift_is_shown_with_its_interval(
    drift: float, interval: tuple[float, float], words: str
) -> None:
    video = made_result(drift_ms_per_min=drift, drift_interval_ms_per_min=interval)
    assert words in shown(print_result, video)
    assert json.loads(to_json(video))["drift_interval_ms_per_min"] == list(interval)
    (row,) = csv.DictReader(io.StringIO(to_csv([video])))
    assert (row["drift_low_ms_per_min"], row["drift_high_ms_per_min"]) == tuple(map(str, interval))


def test_the_share_that_carries_the_verdict_is_shown_with_its_segment() -> None:
    video = made_result(coverage=1.0, verdict_coverage=0.17)
    text = shown(print_result, video)
    assert "100 % (share with a face; the verdict rests on 17 %)" in text
    assert "Segments" in text
    whole = shown(print_result, made_result(verdict_coverage=1.0))
    assert "rests on 100 %" in whole and "Segments" not in whole


def test_segments_faces_and_warnings_are_shown_when_there_are_several() -> None:
    video = made_result(
        segments=(Segment(0, 2, 3.0, 0.9), Segment(2, 4, -5.0, 0.8)),
        tracks=(
            *made_result().tracks,
            Track(1, 1.0, 3.0, (0.0, 0.0, 9.0, 9.0), False, None, 0.1),
        ),
        drift_ms_per_min=None,
    )
    video = replace(video, source=replace(video.source, warnings=("variable frame rate",)))
    text = shown(print_result, video)
    assert "200 ms behind" in text
    assert "+120 ms (audio ahead, +3.00 frames; 1 of 2 segments)" in text
    assert "variable frame rate" in text
    assert "not known: the video is too short" in text
    assert [line.split() for line in text.splitlines()[-1:]] == [
        ["1", "0:01.0", "0:03.0", "-", "-", "0.10", "no", "0,", "0,", "9,", "9"]
    ]


@pytest.mark.parametrize("verdict", ["in sync", "detectable", "unacceptable"])
def test_verdicts_have_colours(verdict: str) -> None:
    text = shown(print_result, made_result(verdict=verdict), force_terminal=True)
    colour = {"in sync": 32, "detectable": 33, "unacceptable": 31}[verdict]
    assert f"\x1b[1;{colour}m" in text.splitlines()[0]


@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "cp1252"])
@pytest.mark.parametrize("name", NAMES)
def test_names_are_shown_as_they_are(name: str, encoding: str) -> None:
    for text in (
        shown(print_result, made_result(name), width=400, encoding=encoding),
        shown(print_summary, [made_result(name)], width=400, encoding=encoding),
        shown(print_summary, [replace(FAILURE, input=name)], width=400, encoding=encoding),
    ):
        assert printable(name, encoding) in text
        assert "\x1b" not in text


def test_names_of_models_are_no_markup_either() -> None:
    assert "[red]mine[/red]" in shown(print_result, made_result(weights="[red]mine[/red]"))


def test_no_answer_has_no_probability_of_being_right() -> None:
    text = shown(print_result, inconclusive("too short", confidence=0.9))
    assert "0.90 (of the best match, which is no answer)" in text
    nobody = inconclusive("no face was found", coverage=0.0, audio_belongs=0.0)
    text = shown(print_result, nobody)
    assert "(no face, no answer)" in text and "own audio" not in text


@pytest.mark.parametrize(
    ("cause", "remark"),
    [
        ("a.mp4 has no audio track", "has no audio track"),
        ("a.mp4: b.mp4 is there already", "b.mp4 is there already"),
        ("a.mp4x is odd", "a.mp4x is odd"),
        ("cannot read a.mp4", "cannot read a.mp4"),
    ],
)
def test_a_remark_does_not_repeat_the_name(cause: str, remark: str) -> None:
    assert Failure("a.mp4", cause, "Fix it.", 1).remark == f"{remark}. Fix it."


def test_the_summary_has_a_row_for_every_video() -> None:
    videos = [
        made_result("a.mp4"),
        made_result("b.mp4", offset_frames=-1.0, verdict="in sync", segments=()),
        inconclusive("the audio is silent", input="c.mp4"),
        FAILURE,
    ]
    _, *rows, total = shown(print_summary, videos).splitlines()
    assert total == "4 videos: 1 unacceptable, 1 in sync, 1 inconclusive, 1 failed"
    assert [row.split()[0] for row in rows] == ["a.mp4", "b.mp4", "c.mp4", "gone.mp4"]
    for row, part in zip(
        rows,
        ["120 ms ahead", "40 ms behind", "the audio is silent", "no such file"],
        strict=True,
    ):
        assert part in row


def test_without_a_window_no_line_is_folded(capsys: pytest.CaptureFixture[str]) -> None:
    print_result(made_result("x" * 100))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].endswith(sentence(made_result()))
    assert lines == [line.rstrip() for line in lines], "nor filled up with spaces"


# ------------------------------------------------------------------------------------------- text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0:00.0"), (59.96, "1:00.0"), (3723.42, "1:02:03.4")]
)
def test_clock(seconds: float, text: str) -> None:
    assert clock(seconds) == text


def test_words() -> None:
    assert signed(-0.001, 2) == "0.00"
    assert signed(1.5, 1) == "+1.5"
    assert shortened("a" * 50 + "b" * 50, 21) == "aaaaaaaaa...bbbbbbbbb"
    assert printable("\u202e4pm\x07") == "\\u202e4pm\\x07"
