"""What is not decoded is counted and told: it never passes for covered."""

from __future__ import annotations

from pathlib import Path

import pytest

from synctool.media.unread import Unread
from synctool.media.video_file import VideoFile
from synctool.types import Source
from transport_streams import part, pat, pmt, with_tables
from videos import Audio, Video, make_video, with_spoiled_packets

pytestmark = pytest.mark.integration

FAST = {"preset": "ultrafast", "g": "25"}


def facts(path: Path) -> Source:
    with VideoFile(path) as video_file:
        for _ in video_file:
            pass
        return video_file.source


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
@pytest.mark.parametrize("codec", ["libx264", "mpeg4"])
@pytest.mark.parametrize("kinds", [("video",), ("video", "audio"), ("audio",)], ids=str)
@pytest.mark.parametrize("span_s", [(4.0, 9.0), (2.0, 6.0)], ids=["to the end", "in between"])
def test_packets_that_cannot_be_decoded_are_counted(tmp_path, name, codec, kinds, span_s):
    video = Video(codec, options=FAST if codec == "libx264" else {"g": "25"})
    whole = make_video(tmp_path / name, seconds=8.0, video=video)
    assert facts(whole).unread_s == 0.0
    source = facts(with_spoiled_packets(whole, tmp_path / f"b{name}", kinds, [span_s]))
    lost_s = min(span_s[1], 8.0) - span_s[0]
    assert source.unread_s == pytest.approx(lost_s, abs=0.3)
    assert source.unread_share == pytest.approx(lost_s / 8.0, abs=0.04)
    assert any("could not be decoded" in text for text in source.warnings)


def test_what_is_cut_off_is_counted(tmp_path):
    path = make_video(tmp_path / "a.mkv", seconds=8.0, video=Video(options=FAST))
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    source = facts(path)
    assert 2.0 < source.duration_s < 6.0
    assert source.unread_s == pytest.approx(8.0 - source.duration_s, abs=0.1)
    assert source.unread_share == pytest.approx(source.unread_s / 8.0, abs=0.02)


def test_a_part_in_a_codec_without_decoder_is_counted(tmp_path):
    """The second part's table says AVS3 for its video, and its PIDs are others."""
    parts = part(tmp_path, 0), part(tmp_path, 1, pids=(0x200, 0x201), pmt_pid=0x1100)
    other = with_tables(
        parts[1], [pat({1: 0x1100}), pmt(0x1100, 1, [(0xD4, 0x200), (3, 0x201)])], of=[0x1100]
    )
    path = tmp_path / "a.ts"
    path.write_bytes(parts[0] + other)
    source = facts(path)
    assert source.unread_share == pytest.approx(0.5, abs=0.02)
    assert any("the video goes on in a stream that cannot be read" in w for w in source.warnings)
    assert source.duration_s == pytest.approx(6.0, abs=0.1)  # by its audio


def test_slides_and_pauses_are_not_losses(tmp_path):
    times = [0.0, 0.04, 3.0, 3.04, 7.5]
    path = make_video(tmp_path / "a.mkv", seconds=8.0, video=Video(times_s=times, options=FAST))
    assert facts(path).unread_s == 0.0
    assert not facts(path).warnings


def test_audio_that_is_shorter_than_the_video_is_no_loss(tmp_path):
    audio = [Audio(lost_s=[(0.0, 2.0), (5.0, 99.0)])]
    path = make_video(tmp_path / "a.mp4", seconds=8.0, video=Video(options=FAST), audio=audio)
    assert facts(path).unread_s == 0.0


def test_losses_of_two_streams_are_not_added_up():
    unread = Unread()
    for kind, lost_s in (("video", 2.0), ("audio", 1.5)):
        for number in range(100):
            unread.feed(kind)
            at_s = 0.04 * number
            if not 1.0 <= at_s < 1.0 + lost_s:
                unread.got(kind, at_s, 0.04)
        unread.ended(kind, 0.04)
    unread.add("audio", 4.0)
    assert unread.seconds == pytest.approx(5.5, abs=0.05)
    assert unread.share(video_s=4.0, audio_s=4.0) == pytest.approx(5.5 / 8.0, abs=0.01)


def test_nothing_read_is_no_share():
    assert Unread().share(video_s=0.0, audio_s=0.0) == 0.0
