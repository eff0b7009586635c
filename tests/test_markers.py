"""Segments as markers: timecode, and every format read back by a reader that is not ours."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from xml.etree import ElementTree

import opentimelineio as otio
import pytest
import webvtt
from timecode import Timecode

from fake_results import inconclusive, made_result
from synctool.errors import UsageError
from synctool.media.video_file import VideoFile
from synctool.report.markers.description import marked
from synctool.report.markers.formats import FORMATS, marker_format, write_markers
from synctool.report.markers.timecode import TimecodeClock, frame_rate
from synctool.types import DetectResult, Segment
from videos import make_video

RATES = {
    23.976: (Fraction(24000, 1001), "23.976"),
    25.0: (Fraction(25), "25"),
    29.97: (Fraction(30000, 1001), "29.97"),
    30.0: (Fraction(30), "30"),
    50.0: (Fraction(50), "50"),
    59.94: (Fraction(60000, 1001), "59.94"),
}


def video(fps: float = 25.0, timecode: str = "", **changes: object) -> DetectResult:
    """Twenty seconds: in sync, then ahead, then not sure."""
    parts = (
        Segment(0.0, 8.0, 0.5, 0.95), Segment(8.0, 14.0, 5.0, 0.9), Segment(15.0, 20.0, -3.0, 0.3),
    )  # fmt: skip
    result = made_result("joined & <cut>.mov", **{"segments": parts, **changes})
    source = replace(result.source, duration_s=20.0, video_fps=fps, timecode=timecode)
    return replace(result, source=source)


def written(result: DetectResult, name: str, **more: str) -> bytes:
    return FORMATS[name].content(marked(result, **more))


# ---------------------------------------------------------------------------------- timecode


@pytest.mark.parametrize("fps", RATES)
def test_rates_are_those_that_are_meant(fps: float) -> None:
    exact = RATES[fps][0]
    assert frame_rate(fps) == frame_rate(float(exact)) == exact


def test_a_rate_of_its_own_stays() -> None:
    assert frame_rate(12.5) == Fraction(25, 2)


@pytest.mark.parametrize("fps", RATES)
@pytest.mark.parametrize("drop", [False, True])
def test_timecode_counts_as_another_program_does(fps: float, drop: bool) -> None:
    if drop and fps not in (29.97, 59.94):
        pytest.skip("has no drop-frame")
    clock = TimecodeClock(RATES[fps][0], drop)
    for frame in (0, 1, 1799, 1800, 1801, 3599, 3600, 17981, 17982, 17983, 107_892, 215_785):
        other = Timecode(RATES[fps][1], frames=frame + 1, force_non_drop_frame=not drop)
        assert clock.text(frame).replace(";", ":") == str(other).replace(";", ":")


@pytest.mark.parametrize(
    ("fps", "start", "frame", "told"),
    [
        (25.0, "01:00:00:00", 30, "01:00:01:05"),
        (29.97, "00:00:59;29", 1, "00:01:00;02"),
        (29.97, "00:00:59:29", 1, "00:01:00:00"),
        (59.94, "00:09:59;59", 1, "00:10:00;00"),
        (23.976, "23:59:59:23", 1, "00:00:00:00"),
        (29.97, "", 1800, "00:01:00;02"),
    ],
)
def test_timecode_begins_where_the_file_does(fps: float, start: str, frame: int, told: str) -> None:
    assert TimecodeClock.of(fps, start).text(frame) == told


@pytest.mark.parametrize("start", ["1 hour", "00:00:00:25", "00:61:00:00"])
def test_what_is_no_timecode_is_refused(start: str) -> None:
    with pytest.raises(UsageError, match="is no timecode of 25 frames a second") as caught:
        TimecodeClock.of(25.0, start)
    assert "01:00:00:00" in caught.value.remedy


def test_a_label_that_drop_frame_leaves_out_is_refused() -> None:
    with pytest.raises(UsageError):
        TimecodeClock.of(29.97, "00:01:00;00")


@pytest.mark.parametrize("suffix", [".mov", ".mp4"])
def test_the_timecode_of_a_file_is_read(tmp_path: Path, suffix: str) -> None:
    path = make_video(tmp_path / f"a{suffix}", seconds=1, timecode="10:00:00:00")
    with VideoFile(path) as read:
        assert read.source.timecode == "10:00:00:00"


# ---------------------------------------------------------------------------------- markers


def test_markers_say_what_is_wrong_and_what_to_do() -> None:
    first, second, third = marked(video()).markers
    assert (first.name, first.colour) == ("audio 20 ms ahead", "Green")
    assert (second.frame, second.frames, second.colour) == (200, 150, "Red")
    assert second.note == "unacceptable; delay the audio by 200 ms; confidence 0.90"
    assert (third.name, third.colour) == ("audio 120 ms behind?", "Blue")


def test_a_drifting_segment_says_from_where_to_where() -> None:
    (marker,) = marked(video(drift_ms_per_min=300.0, segments=(Segment(0, 20, 1.0, 0.9),))).markers
    assert marker.name == "audio 10 ms behind to 90 ms ahead"
    assert "drifts by +300.0 ms/min" in marker.note


def test_frames_count_from_the_first_frame_of_the_video() -> None:
    late = video()
    late = replace(late, source=replace(late.source, video_start_s=2.0))
    assert [m.frame for m in marked(late).markers] == [0, 150, 325]


def test_a_video_without_an_answer_has_one_marker() -> None:
    (marker,) = marked(inconclusive("the audio is silent")).markers
    assert (marker.frame, marker.frames, marker.colour) == (0, 100, "Blue")
    assert marker.note == "inconclusive: the audio is silent"


# ---------------------------------------------------------------------------------- formats


@pytest.mark.parametrize(
    ("fps", "timecode", "mode"),
    [
        (25.0, "01:00:00:00", "NON-DROP FRAME"),
        (29.97, "", "DROP FRAME"),
        (29.97, "01:00:00:00", "NON-DROP FRAME"),
        (23.976, "", "NON-DROP FRAME"),
    ],
)
def test_edl(fps: float, timecode: str, mode: str) -> None:
    text = written(video(fps, timecode), "edl").decode()
    assert text.splitlines()[:2] == ["TITLE: joined & <cut>.mov", f"FCM: {mode}"]
    (track,) = otio.adapters.read_from_string(text, "cmx_3600", rate=float(frame_rate(fps))).tracks
    events = [clip for clip in track if isinstance(clip, otio.schema.Clip)]
    clock = TimecodeClock.of(fps, timecode)
    starts = [round(8 * clock.rate), round(15 * clock.rate)]
    lines = text.splitlines()
    assert [line.split()[4] for line in lines if "  001  " in line] == [
        clock.text(0), *map(clock.text, starts),
    ]  # fmt: skip
    assert [clip.duration().value for clip in events] == [1, 1, 1]
    notes = [line for line in lines if "|M:" in line]
    assert notes[1] == (
        "unacceptable; delay the audio by 200 ms; confidence 0.90 |C:ResolveColorRed "
        f"|M:audio 200 ms ahead |D:{round(14 * clock.rate) - starts[0]}"
    )


@pytest.mark.parametrize("fps", RATES)
def test_fcpxml(fps: float) -> None:
    drop = fps in (29.97, 59.94)
    start = "01:00:00;00" if drop else "01:00:00:00"
    root = ElementTree.fromstring(written(video(fps, start), "fcpxml"))
    step = 1 / RATES[fps][0]

    def frames(text: str) -> Fraction:
        return Fraction(text.removesuffix("s")) / step

    sequence, clip = root.find(".//sequence"), root.find(".//asset-clip")
    assert sequence.get("tcFormat") == ("DF" if drop else "NDF")
    assert frames(root.find(".//format").get("frameDuration")) == 1
    first = frames(sequence.get("tcStart"))
    assert TimecodeClock(RATES[fps][0], drop).text(int(first)) == start
    assert clip.get("ref") == root.find(".//asset").get("id")
    assert root.find(".//media-rep").get("src").endswith("/joined%20%26%20%3Ccut%3E.mov")
    markers = clip.findall("marker")
    assert [m.get("value") for m in markers] == [m.name for m in marked(video(fps)).markers]
    at = [frames(m.get("start")) - first for m in markers]
    assert at == [0, round(8 / step), round(15 / step)]
    assert all(frames(m.get("duration")).denominator == 1 for m in markers)


def test_resolve_csv() -> None:
    rows = list(csv.DictReader(io.StringIO(written(video(), "resolve").decode(), newline="")))
    assert rows[1]["Record In"] == rows[1]["Source In"] == "00:00:08:00"
    assert rows[1]["Record Out"] == "00:00:14:00"
    assert (rows[1]["Dur"], rows[1]["Color"]) == ("00:00:06:00", "Red")
    assert rows[1]["Name"] == "audio 200 ms ahead"


@pytest.mark.parametrize(("fps", "begin"), [(25.0, "00:00:08:00"), (29.97, "00;00;08;00")])
def test_premiere_csv(fps: float, begin: str) -> None:
    text = written(video(fps), "premiere").decode("utf-16")
    rows = list(csv.DictReader(io.StringIO(text, newline=""), delimiter="\t"))
    assert (rows[1]["Marker Name"], rows[1]["In"]) == ("audio 200 ms ahead", begin)
    assert rows[1]["Marker Type"] == "Comment"


def test_webvtt() -> None:
    cues = webvtt.from_string(written(video(), "webvtt").decode()).captions
    assert [(c.start, c.end, c.text) for c in cues] == [
        ("00:00:00.000", "00:00:08.000", "audio 20 ms ahead"),
        ("00:00:08.000", "00:00:14.000", "audio 200 ms ahead"),
        ("00:00:15.000", "00:00:20.000", "audio 120 ms behind?"),
    ]


@pytest.mark.parametrize("name", FORMATS)
def test_hostile_names_stay_in_their_place(tmp_path: Path, name: str) -> None:
    nasty = replace(video(), input='a|M:b\n--> <x>\t"\x1b[31m\udcff.mov')
    write_markers(nasty, tmp_path / "out", FORMATS[name])
    data = (tmp_path / "out").read_bytes()
    text = data.decode("utf-16" if name == "premiere" else "utf-8")
    assert "\x1b" not in text
    assert text.count("audio 200 ms ahead") == 1


@pytest.mark.parametrize(
    ("path", "name", "suffix", "content"),
    [
        ("a.csv", None, ".csv", "resolve"), ("a.CSV", "premiere", ".csv", "premiere"),
        ("a.edl", None, ".edl", "edl"), ("a.vtt", None, ".vtt", "webvtt"),
        ("-", "fcpxml", ".fcpxml", "fcpxml"),
    ],
)  # fmt: skip
def test_formats_by_ending_and_by_name(
    path: str, name: str | None, suffix: str, content: str
) -> None:
    form = marker_format(path, name)
    assert form is FORMATS[content]
    assert form.suffix == suffix


@pytest.mark.parametrize(("path", "name"), [("a.txt", None), ("a.edl", "avid"), ("-", None)])
def test_unknown_formats_are_refused(path: str, name: str | None) -> None:
    with pytest.raises(UsageError) as caught:
        marker_format(path, name)
    assert "resolve, premiere, fcpxml, edl, webvtt" in caught.value.remedy
