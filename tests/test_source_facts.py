"""What is told of a video itself: frame rate, sample rate and length, where its header is wrong or silent."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from synctool.errors import MediaError
from synctool.media import opening
from synctool.media.announced import announced_length_s
from synctool.media.frame_rate import FrameRate
from synctool.media.video_file import VideoFile
from synctool.types import Source, StreamSelection
from videos import CLICKS_S, Audio, Video, find_clicks, make_video, read_time_ms

pytestmark = pytest.mark.integration

FAST = {"preset": "ultrafast"}
NTSC = Fraction(30000, 1001)


def facts(path: Path, **options: object) -> Source:
    with VideoFile(path, **options) as video_file:
        for _ in video_file:
            pass
        return video_file.source


def raw_dv(path: Path, fps: Fraction, height: int, seconds: float) -> Path:
    """A raw DV stream, as cameras of that time wrote it: video and audio in one."""
    rate = round(48_000 * seconds)
    with av.open(str(path), "w", format="dv") as video_file:
        video = video_file.add_stream("dvvideo", rate=fps)
        video.width, video.height = 720, height
        video.pix_fmt = "yuv411p" if height == 480 else "yuv420p"
        audio = video_file.add_stream("pcm_s16le", rate=48_000, layout="stereo")
        waveform = av.AudioFrame.from_ndarray(np.zeros((1, 2 * rate), np.int16), "s16", "stereo")
        waveform.sample_rate, waveform.pts, waveform.time_base = 48_000, 0, Fraction(1, 48_000)
        packets = list(audio.encode(waveform))
        for number in range(round(seconds * fps)):
            image = np.full((height, 720, 3), 40 + number, np.uint8)
            frame = av.VideoFrame.from_ndarray(image, "rgb24").reformat(format=video.pix_fmt)
            frame.pts, frame.time_base = number, 1 / fps
            packets += video.encode(frame)
        packets += [*video.encode(None), *audio.encode(None)]
        for packet in sorted(packets, key=lambda p: float(p.dts * p.time_base)):
            video_file.mux(packet)
    return path


@pytest.mark.parametrize(("fps", "height"), [(Fraction(25), 576), (NTSC, 480)])
def test_raw_dv_has_the_rate_of_its_frames(tmp_path, fps, height):
    path = raw_dv(tmp_path / "a.dv", fps, height, 1.0)
    with VideoFile(path) as video_file:
        assert video_file.source.video_fps == pytest.approx(float(fps), abs=0.001)
        indices = sum(1 for _ in video_file)
    assert indices == pytest.approx(25, abs=1)
    assert video_file.source.video_fps == pytest.approx(float(fps), abs=0.001)


@pytest.mark.parametrize("name", ["a.mkv", "a.mp4", "a.ts"])
@pytest.mark.parametrize(("claimed", "true"), [(25, 12.5), (25, 50), (30, 24)])
def test_the_rate_is_that_of_the_frames_where_the_header_says_another(
    tmp_path, name, claimed, true
):
    times = [n / true for n in range(round(4 * true))]
    video = Video(fps=claimed, times_s=times, options=FAST)
    with VideoFile(make_video(tmp_path / name, seconds=4.0, video=video)) as video_file:
        shown = [read_time_ms(image.luma) for image in video_file]
    assert video_file.source.video_fps == pytest.approx(true, rel=0.002)
    assert shown[-1] >= 1000 * times[-1] - 41  # the last frame stays as long as the others
    assert len(shown) == pytest.approx(100, abs=2)


def test_lost_frames_and_rounded_times_leave_an_exact_rate():
    rate = FrameRate([float(NTSC)])
    for number in range(300):
        if number % 20:
            rate.add(round(number / float(NTSC), 3))
    assert rate.fps == pytest.approx(float(NTSC), abs=0.001)


@pytest.mark.parametrize("announced", [[60_000.0, 24000 / 1001], [60_000.0], [None], []])
def test_the_measured_rate_of_rounded_times(announced):
    rate = FrameRate(announced)
    for number in range(240):
        rate.add(round(number * 1001 / 24000, 3))
    assert rate.fps == pytest.approx(24000 / 1001, abs=0.01)
    assert rate.interval_s == pytest.approx(1001 / 24000, rel=1e-3)


def test_a_mean_rate_of_frames_at_their_own_times_is_believed():
    times = np.cumsum(np.random.default_rng(0).uniform(0.02, 0.3, 200))
    mean = 199 / (times[-1] - times[0])
    rate = FrameRate([mean])
    for time_s in times:
        rate.add(float(time_s))
    assert rate.fps == pytest.approx(mean, abs=0.001)


def test_frames_in_three_and_two_fields_have_the_rate_of_both():
    rate = FrameRate([float(NTSC)])
    at_s = 0.0
    for number in range(240):
        rate.add(at_s)
        at_s += (3 if number % 2 else 2) / 2 / float(NTSC)
    assert rate.fps == pytest.approx(24000 / 1001, abs=0.05)


def test_without_any_frame_the_header_has_the_word():
    assert FrameRate([60_000.0, 25.0]).fps == 25.0
    assert FrameRate([None]).fps == 0.0
    assert FrameRate([None]).interval_s == pytest.approx(0.04)


@pytest.mark.parametrize("name", ["a.mkv", "a.nut", "a.mp4", "a.ts", "a.mov"])
def test_streams_that_begin_late_are_not_shorter_than_announced(tmp_path, name):
    video = Video(start_s=20.0, options=FAST)
    path = make_video(tmp_path / name, video=video, audio=[Audio("mp2", start_s=20.0)])
    with av.open(str(path)) as container:
        assert announced_length_s(container) == pytest.approx(3.0, abs=0.1)
    with VideoFile(path) as video_file:
        assert video_file.expected_frames == pytest.approx(75, abs=2)
        shown = [read_time_ms(image.luma) for image in video_file]
        heard = find_clicks(video_file.audio.pop(video_file.audio.end))
    assert video_file.warnings == []
    assert next(t for t in shown if t is not None) == 20_000
    assert len(heard) == len(CLICKS_S)
    assert video_file.source.duration_s == pytest.approx(3.0, abs=0.1)


def test_half_of_a_late_beginning_is_told(tmp_path):
    video = Video(start_s=20.0, options=FAST)
    path = make_video(
        tmp_path / "a.mkv", seconds=6.0, video=video, audio=[Audio("mp2", start_s=20.0)]
    )
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with VideoFile(path) as video_file:
        for _ in video_file:
            pass
    assert any("shorter than its header" in text for text in video_file.warnings)


@pytest.mark.parametrize(("kept", "told"), [(0.4, True), (1.0, False)])
def test_an_avi_that_is_cut_off_is_told_and_counted(tmp_path, kept, told):
    """Of one without its index FFmpeg announces what is there."""
    video = Video("mpeg4")
    path = make_video(tmp_path / "a.avi", seconds=6.0, video=video, audio=[Audio("mp2")])
    data = path.read_bytes()
    path.write_bytes(data[: round(kept * len(data))])
    with VideoFile(path) as video_file:
        shown_s = sum(1 for _ in video_file) / 25
    assert any("shorter than its header" in text for text in video_file.warnings) == told
    assert video_file.source.unread_s == pytest.approx(6.0 - shown_s if told else 0.0, abs=0.3)
    assert video_file.source.unread_share == pytest.approx(
        1 - shown_s / 6 if told else 0.0, abs=0.05
    )


LATE_S = 9.0


def with_late_audio(path: Path, codec: str) -> Path:
    """Video from 0 on, audio from ``LATE_S``, after FFmpeg has ceased to look for it."""
    waveform = Audio(codec, layout="stereo", start_s=LATE_S)
    noise = np.random.default_rng(0).integers(0, 256, (96, 320, 480, 3), np.uint8)
    if path.suffix == ".mpg":  # it comes after the five million bytes that are looked at, too
        many = [noise[n % 96] for n in range(12 * 25)]
        video = Video("mpeg2video", size=(480, 320), images=many, options={"qmax": "4"})
    else:
        video = Video(options=FAST)
    return make_video(path, seconds=12.0, video=video, audio=[waveform])


@pytest.mark.parametrize(
    ("name", "codec"), [("a.ts", "aac"), ("a.ts", "mp2"), ("a.ts", "ac3"), ("a.mpg", "mp2")]
)
def test_audio_that_begins_late_is_found_with_its_rate(tmp_path, name, codec):
    path = with_late_audio(tmp_path / name, codec)
    with VideoFile(path, streams=StreamSelection()) as video_file:
        for _ in video_file:
            pass
        heard = find_clicks(video_file.audio.pop(video_file.audio.end))
    audio = next(track for track in video_file.source.tracks if track.kind == "audio")
    assert (video_file.source.audio_hz, audio.channels, video_file.source.channel) == (
        48_000,
        2,
        "mix",
    )
    assert video_file.source.audio_start_s == pytest.approx(LATE_S, abs=0.1)
    late = np.array(heard[: len(CLICKS_S)]) - CLICKS_S
    assert late == pytest.approx(LATE_S, abs=0.06) and np.ptp(late) < 0.001


def test_video_that_begins_late_is_found(tmp_path):
    video = Video("mpeg2video", start_s=LATE_S)
    path = make_video(tmp_path / "a.mpg", seconds=20.0, video=video, audio=[Audio("mp2")])
    source = facts(path)
    assert (source.width_px, source.height_px) == (192, 128)
    assert source.video_start_s == pytest.approx(LATE_S, abs=0.1)


def test_what_is_decoded_has_the_last_word_on_the_sample_rate(tmp_path, monkeypatch):
    """The header is held for silent, as through a pipe, where nobody looks further."""
    path = with_late_audio(tmp_path / "a.ts", "mp2")
    monkeypatch.setattr(opening, "_may_begin_later", lambda container: False)
    assert facts(path).audio_hz == 48_000


def test_video_alone_in_a_program_stream_has_no_audio(tmp_path):
    path = make_video(tmp_path / "a.mpg", video=Video("mpeg2video"), audio=[])
    with pytest.raises(MediaError, match="no audio track"):
        VideoFile(path)
