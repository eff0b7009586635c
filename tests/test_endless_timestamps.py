"""Damaged timestamps make no endless video out of a short file; slide shows stay what they are."""

from __future__ import annotations

from pathlib import Path

import av
import pytest

from synctool.errors import MediaError
from synctool.media.video_file import VideoFile
from videos import Audio, Video, clicks, make_video

_LONG_S = 200


def _fragmented(path: Path) -> Path:
    """A MOV of fragments, one for a key frame, without B-frames."""
    whole = make_video(path.with_suffix(".mkv"), seconds=2, video=Video(options={"bf": "0"}))
    rules = {"movflags": "frag_keyframe+empty_moov"}
    with av.open(str(whole)) as source, av.open(str(path), "w", options=rules) as file:
        copies = {s.index: file.add_stream_from_template(s) for s in source.streams}
        for packet in source.demux():
            if packet.dts is not None:
                packet.stream = copies[packet.stream.index]
                file.mux(packet)
    return path


def _lasting(path: Path, track: int, seconds: float) -> None:
    """Write another duration of samples into the headers of a track's fragments (tfhd and trun)."""
    data = bytearray(path.read_bytes())
    scales = [at for at in range(len(data)) if data[at : at + 4] == b"mdhd"]
    scale = int.from_bytes(data[scales[track - 1] + 16 :][:4], "big")
    value = round(seconds * scale).to_bytes(4, "big")
    changed = 0
    at = data.find(b"tfhd")
    while at >= 0:
        if int.from_bytes(data[at + 8 : at + 12], "big") == track:
            assert data[at + 7] == 0x39  # base offset, then the defaults: duration, size, flags
            data[at + 20 : at + 24] = value
            changed += 1
            run = data.find(b"trun", at)
            if data[run + 6] & 1:  # each sample has its own duration, and size
                count = int.from_bytes(data[run + 8 : run + 12], "big")
                assert data[run + 6] == 3
                first = run + 16 + (data[run + 7] & 4)  # the first one may have flags of its own
                for place in range(first, first + 8 * count, 8):
                    data[place : place + 4] = value
        at = data.find(b"tfhd", at + 4)
    assert changed
    path.write_bytes(data)


def _seconds(path: Path) -> float:
    with VideoFile(path, stall_s=20) as video_file:
        indices = 0
        for _ in video_file:
            indices += 1
            video_file.audio.pop(video_file.audio.available)
            assert indices < 100_000, "endless"
        return max(indices / 25, video_file.audio.end / 16_000)


@pytest.mark.parametrize(("track", "name"), [(1, "video"), (2, "audio")])
def test_fragments_whose_samples_last_for_minutes_are_refused(
    tmp_path: Path, track: int, name: str
) -> None:
    path = _fragmented(tmp_path / "a.mov")
    assert _seconds(path) == pytest.approx(2.0, abs=0.1)
    _lasting(path, track, _LONG_S)
    with pytest.raises(MediaError) as caught:
        _seconds(path)
    assert f"a.mov: the timestamps of the {name} are damaged" in str(caught.value)
    assert caught.value.exit_code == 1


def test_a_slide_show_with_audio_is_read_to_its_end(tmp_path: Path) -> None:
    seconds = 160
    slides = Video(times_s=list(range(0, seconds, 20)), options={"bf": "0"})
    audio = Audio(codec="pcm_s16le", rate=8_000, layout="mono", samples=clicks(seconds, 8_000))
    path = make_video(tmp_path / "slides.mkv", seconds=seconds, video=slides, audio=[audio])
    assert _seconds(path) == pytest.approx(seconds, abs=0.1)


def test_one_long_break_is_kept(tmp_path: Path) -> None:
    later = Video(retime=lambda s: s if s < 1 else s + 150)
    audio = Audio(retime=lambda s: s if s < 1 else s + 150)
    path = make_video(tmp_path / "break.mkv", video=later, audio=[audio])
    assert _seconds(path) == pytest.approx(153, abs=0.2)
