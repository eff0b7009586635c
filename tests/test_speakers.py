"""Who speaks when, from a video to the tables and files that say so."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from fake_results import made_result
from synctool.cli.app import main
from synctool.errors import EXIT_USAGE
from synctool.media.video_file import VideoFile
from synctool.report.charts.offsets import detect_chart
from synctool.report.detect_tables import (
    several_speakers,
    spans_table,
    speakers,
    speakers_table,
    turns_table,
)
from synctool.report.html.pages import detect_page
from synctool.report.speaker_files import to_rttm, to_webvtt
from synctool.report.terminal import print_result
from synctool.types import DetectResult, SpeakerTurn, Track
from videos import Audio, Video, make_video

BOX = (10.0, 20.0, 100.0, 120.0)
TURNS = (
    SpeakerTurn(0, 0.4, 1.6, 0.98),
    SpeakerTurn(1, 1.6, 2.4, 0.91),
    SpeakerTurn(0, 1.8, 2.2, 0.7, overlapping=True),
    SpeakerTurn(None, 2.6, 3.6, 0.88),
)


def talk(name: str = "talk show.mp4", turns: tuple[SpeakerTurn, ...] | None = TURNS):
    """A video of two faces and an off-screen voice."""
    tracks = tuple(Track(i, 0.0, 4.0, BOX, True, 3.0, 0.9) for i in range(2))
    return made_result(name, tracks=tracks, speakers=turns)


def rows(table) -> list[list[str]]:
    return [[cell.text for cell in row] for row in table.rows]


def test_a_face_with_turns_speaks_also_where_its_offset_jumps() -> None:
    tracks = tuple(Track(i, 0.0, 4.0, BOX, False, None, 0.4) for i in range(3))
    video = made_result(tracks=tracks, speakers=TURNS)
    table = spans_table("", "Faces", video.tracks, speaking=speakers(video))
    at = [column.title for column in table.columns].index("Speaks")
    assert [row[at] for row in rows(table)] == ["yes", "yes", "no"]


# ------------------------------------------------------------------------------------------ a video


@pytest.fixture(scope="module")
def two_faces(clips: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same presenter twice, side by side: the left one speaks for five seconds, then the right one."""
    with VideoFile(clips / "example.avi") as video:
        images = np.stack([image.luma for image in video if image.luma is not None])
        samples = video.audio.pop(video.audio.end)
    first, second = images[:125], images[150:275]
    both = np.concatenate(
        [np.concatenate([first, second]), np.concatenate([second, first])], axis=2
    )
    heard = np.concatenate([samples[: 5 * 16_000]] * 2).astype(np.float32) / 32768
    path = tmp_path_factory.mktemp("two") / "two faces.mkv"
    video = Video(size=(448, 224), images=list(both), options={"preset": "ultrafast"})
    return make_video(
        path, seconds=10, video=video, audio=[Audio(rate=16_000, layout="mono", samples=heard)]
    )


@pytest.mark.integration
def test_two_people_who_take_turns(
    two_faces: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["detect", str(two_faces), "--json", "a.json", "--rttm", "a.rttm", "--webvtt", "a.vtt"]
    assert main([*words, "--device", "cpu"]) == 0
    assert "Speaker " in capsys.readouterr().out
    result = DetectResult.from_dict(json.loads(Path("a.json").read_text("utf-8")))
    assert result.offset_frames == pytest.approx(3.0, abs=0.5)
    assert all(track.speaking for track in result.tracks)
    assert [t.offset_frames for t in result.tracks] == pytest.approx([3.0, 3.0], abs=0.5)
    left, right = sorted(result.tracks, key=lambda track: track.box_px[0])
    assert result.speakers is not None
    for track, begin_s, end_s in ((left, 0.0, 5.0), (right, 5.0, 10.0)):
        own = [t for t in result.speakers if t.track == track.id]
        assert begin_s - 0.4 <= own[0].start_s and own[-1].end_s <= end_s + 0.4
        assert sum(t.end_s - t.start_s for t in own) > 3.0
    lines = Path("a.rttm").read_text("utf-8").splitlines()
    assert len(lines) == len(result.speakers)
    assert all(line.split()[:2] == ["SPEAKER", "two_faces.mkv"] for line in lines)
    assert Path("a.vtt").read_text("utf-8").count(" --> ") == len(result.speakers)


def test_captions_of_several_videos_need_a_folder(capsys, two_faces: Path) -> None:
    words = ["detect", str(two_faces), str(two_faces), "--webvtt", "-"]
    assert main(words) == EXIT_USAGE
    assert "files of several videos" in capsys.readouterr().err


# ------------------------------------------------------------------------------------------ the words


def test_speakers_are_listed_by_the_time_they_speak() -> None:
    table = speakers_table("", "Speakers", talk())
    assert rows(table) == [
        ["face 0", "0:01.6", "53 %", "2", "0.91"],
        ["off-screen voice", "0:01.0", "33 %", "1", "0.88"],
        ["face 1", "0:00.8", "27 %", "1", "0.91"],
    ]


def test_turns_are_listed_in_the_order_of_time() -> None:
    assert rows(turns_table("", "Turns", talk())) == [
        ["0:00.4", "0:01.6", "face 0", "0.98", ""],
        ["0:01.6", "0:02.4", "face 1", "0.91", ""],
        ["0:01.8", "0:02.2", "face 0", "0.70", "yes"],
        ["0:02.6", "0:03.6", "off-screen voice", "0.88", ""],
    ]


@pytest.mark.parametrize(
    ("result", "told"),
    [
        (talk(), True),
        (talk(turns=None), False),
        (talk(turns=()), False),
        (made_result(speakers=(TURNS[0],)), False),
        (made_result(speakers=(TURNS[0], TURNS[3])), True),
    ],
)
def test_one_face_that_speaks_alone_is_not_worth_a_table(result, told: bool, capsys) -> None:
    assert several_speakers(result) == told
    print_result(result)
    assert ("Speaker " in capsys.readouterr().out) == told
    assert (len(detect_chart(result).panels) == 3) == told
    assert ("Turns" in detect_page([result], command="synctool")) == told


def test_the_timeline_has_a_row_for_each_speaker() -> None:
    chart = detect_chart(talk())
    panel = chart.panels[-1]
    assert [label for _, label in panel.y.ticks] == ["face 0", "face 1", "off-screen"]
    assert panel.marks[0].points[:2] == ((0.4, 2.5), (1.6, 2.5))
    assert "off-screen voice speaks 1.0 s" in chart.description


# ------------------------------------------------------------------------------------------ the files


def test_rttm() -> None:
    assert to_rttm([talk(), talk("b.mp4", None)]).splitlines() == [
        "SPEAKER talk_show.mp4 1 0.400 1.200 <NA> <NA> face0 0.980 <NA>",
        "SPEAKER talk_show.mp4 1 1.600 0.800 <NA> <NA> face1 0.910 <NA>",
        "SPEAKER talk_show.mp4 1 1.800 0.400 <NA> <NA> face0 0.700 <NA>",
        "SPEAKER talk_show.mp4 1 2.600 1.000 <NA> <NA> off-screen 0.880 <NA>",
    ]


def test_namesakes_are_told_apart_in_rttm() -> None:
    names = {line.split()[1] for line in to_rttm([talk("a/x.mp4"), talk("b/x.mp4")]).splitlines()}
    assert names == {"a/x.mp4", "b/x.mp4"}


def test_webvtt() -> None:
    text = to_webvtt(talk())
    assert text.startswith("WEBVTT\n\n00:00:00.400 --> 00:00:01.600\n<v face 0>face 0\n\n")
    assert text.endswith("00:00:02.600 --> 00:00:03.600\n<v off-screen voice>off-screen voice\n")
    late = talk(turns=(SpeakerTurn(12, 3725.0, 3726.5, 0.5),))
    assert "01:02:05.000 --> 01:02:06.500" in to_webvtt(late)


def test_results_come_back_from_json() -> None:
    for result in (talk(), talk(turns=None)):
        assert DetectResult.from_dict(json.loads(json.dumps(result.to_dict()))) == result
