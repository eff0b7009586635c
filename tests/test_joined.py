"""Of files that hold several recordings all are read that players show; others are told and counted."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from synctool.media.joined import recordings, second_file
from synctool.media.video_file import VideoFile
from videos import CLICKS_S, Audio, Video, find_clicks, make_video, read_time_ms

pytestmark = pytest.mark.integration

PARTS = 3
MP4 = "mov,mp4,m4a,3gp,3g2,mj2"


def one(path, number: int, codec: str, **audio):
    return make_video(path / f"{number}.ogg", video=Video("libvpx"), audio=[Audio(codec, **audio)])


@pytest.mark.parametrize("codec", ["libopus", "flac"])
def test_recordings_one_after_the_other_are_all_read(tmp_path, codec):
    made = [one(tmp_path, number, codec).read_bytes() for number in range(PARTS)]
    path = tmp_path / "a.ogg"
    path.write_bytes(b"".join(made))
    sizes = np.cumsum([0, *map(len, made)]).tolist()
    assert recordings(str(path)) == list(pairwise(sizes))
    with VideoFile(path) as video_file:
        shown = [read_time_ms(image.luma) for image in video_file]
        heard = np.array(find_clicks(video_file.audio.pop(video_file.audio.end)))
    assert len(shown) == pytest.approx(75 * PARTS, abs=3)
    assert len(heard) == PARTS * len(CLICKS_S)
    for number in range(PARTS):
        third = heard[number * len(CLICKS_S) :][: len(CLICKS_S)]
        # Each recording's audio keeps its relation to its own frames.
        indices = [t for t in range(75 * number + 5, 75 * number + 70) if shown[t] is not None]
        lead_ms = np.median([40 * t - shown[t] for t in indices])
        assert 1000 * (third - CLICKS_S) == pytest.approx(lead_ms, abs=45)
    assert video_file.source.unread_s == 0.0
    assert sum("another recording follows" in text for text in video_file.warnings) == PARTS - 1


def test_one_recording_is_one_and_damage_does_not_make_more(tmp_path):
    path = one(tmp_path, 0, "libopus")
    data = bytearray(path.read_bytes())
    assert recordings(str(path)) == [(0, len(data))]
    middle = len(data) // 2
    data[middle : middle + 9000] = bytes(9000)
    path.write_bytes(data)
    assert recordings(str(path)) == [(0, len(data))]


@pytest.mark.parametrize("name", ["a.mp4", "a.flv"])
def test_a_second_file_behind_the_first_is_told_and_counted(tmp_path, name):
    video = Video(options={"preset": "ultrafast"})
    first = make_video(tmp_path / name, video=video, audio=[Audio()])
    assert second_file(str(first), "flv" if name == "a.flv" else MP4) is None
    data = first.read_bytes()
    path = tmp_path / f"b{name}"
    path.write_bytes(2 * data)
    assert second_file(str(path), "flv" if name == "a.flv" else MP4) == len(data)
    for file, share in ((first, 0.0), (path, 0.5)):
        with VideoFile(file) as video_file:
            for _ in video_file:
                pass
        assert video_file.source.unread_share == pytest.approx(share, abs=0.01)
        assert any("another file" in text for text in video_file.warnings) == bool(share)
