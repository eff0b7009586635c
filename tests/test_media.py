"""Videos are read as a player shows them: every frame and every click at its presentation time."""

from __future__ import annotations

import gc
import os
import threading
import time
import weakref
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from synctool.errors import (
    EXIT_MISSING,
    EXIT_UNEXPECTED,
    EXIT_USAGE,
    MediaError,
    MissingError,
    SyncToolError,
    UsageError,
)
from synctool.faces.shots import ShotCuts
from synctool.media import video_file as video_module
from synctool.media.audio_track import AudioTrack
from synctool.media.frame_choice import AHEAD_S
from synctool.media.timeline import PresentationTimes, StreamClock, Timeline
from synctool.media.video_file import QUEUED_FRAMES, VideoFile
from synctool.types import AUDIO_HZ, StreamSelection
from videos import (
    CLICKS_S,
    Audio,
    Video,
    clicks,
    find_clicks,
    frame_times_s,
    make_video,
    murmur,
    read_time_ms,
    time_image,
)

pytestmark = pytest.mark.integration

NTSC_VIDEO, NTSC, NTSC_60 = Fraction(24000, 1001), Fraction(30000, 1001), Fraction(60000, 1001)
FAST = {"preset": "ultrafast"}
CLICK_MS = 1.0


@dataclass
class Seen:
    """What a video gave: per tick the time that its frame spells (ms), and the audio."""

    times_ms: list[int | None]
    audio: np.ndarray
    video_file: VideoFile

    @property
    def clicks_s(self) -> list[float]:
        return find_clicks(self.audio)

    @property
    def lead_ms(self) -> float:
        """Timeline minus the video's own time, by the audio."""
        assert len(self.clicks_s) == len(CLICKS_S), self.clicks_s
        late = 1000 * (np.array(self.clicks_s) - CLICKS_S)
        assert np.ptp(late) < CLICK_MS, late
        return float(late.mean())


def see(path: Path, **options: object) -> Seen:
    with VideoFile(path, **options) as video_file:
        times = [read_time_ms(image.luma) for image in video_file]
        return Seen(times, video_file.audio.pop(video_file.audio.end), video_file)


def nearest(times_s: list[float], at_s: float) -> list[float | None]:
    """The frames that a tick may show by the rule of ``media/video_file.py``; two only within a tie."""
    allowed: list[float | None] = []
    for slip in (-0.0011, 0.0, 0.0011):  # timestamps of some containers are whole milliseconds
        at = at_s + slip
        earlier = [t for t in times_s if t <= at]
        before = earlier[-1] if earlier else None
        after = min((t for t in times_s if t > at), default=None)
        best = before
        if after is not None:
            ahead = after - at
            if before is None:
                best = after if ahead <= 0.02 else None
            else:
                gap_before = before - earlier[-2] if len(earlier) > 1 else times_s[1] - times_s[0]
                limit = max(AHEAD_S, min(after - before, gap_before) / 2 + 0.001)
                if ahead <= limit and ahead < at - before:
                    best = after
        allowed.append(best)
    return allowed


def assert_frames_fit(seen: Seen, times_s: list[float], lead_ms: float) -> None:
    """Every tick shows the frame that the rule says, at a known lead of the timeline."""
    for index, shown in enumerate(seen.times_ms):
        allowed = nearest(times_s, index / 25 - lead_ms / 1000)
        spelled = [None if t is None else round(1000 * t) for t in allowed]
        assert shown in spelled, (index, shown, spelled)


# --------------------------------------------------------------------------- frames


RATES = [2.5, 8, 12.5, NTSC_VIDEO, 25, 30, 50, NTSC_60]
"""Below half, ties at half, just below, equal, above, ties at double, and no whole ratio."""


@pytest.mark.parametrize("fps", RATES)
def test_every_frame_shows_the_frame_nearest_in_presentation_time(tmp_path, fps):
    seconds = 6.0
    seen = see(make_video(tmp_path / "a.mp4", seconds=seconds, video=Video(fps=fps, options=FAST)))
    times = frame_times_s(fps, seconds)
    assert_frames_fit(seen, times, 0.0)
    assert len(seen.times_ms) == pytest.approx(25 * len(times) / float(fps), abs=1)
    assert seen.video_file.source.video_fps == pytest.approx(float(fps), abs=0.001)
    # Whole frames only: the last one is not followed by any.
    whole = [(40 * index, shown) for index, shown in enumerate(seen.times_ms) if 40 * index <= 5600]
    early = np.array([shown - at for at, shown in whole])
    assert abs(early.mean()) < 3.0, "frames must be neither early nor late on average"
    assert abs(early).max() <= 500 / float(fps) + 1


@pytest.mark.parametrize("name", ["a.mkv", "a.ts", "a.avi"])
def test_ties_between_two_frames_go_to_either_in_turn(tmp_path, name):
    avi = name.endswith("avi")
    video = Video("mpeg4" if avi else "libx264", fps=12.5, options={} if avi else FAST)
    audio = Audio("pcm_s16le" if avi else "aac")
    seen = see(make_video(tmp_path / name, seconds=4.0, video=video, audio=[audio]))
    first = next(t for t, shown in enumerate(seen.times_ms) if shown is not None)
    shown = seen.times_ms[first : first + 96]
    early = np.array(shown) - shown[0] - 40 * np.arange(len(shown))
    assert early[::2].tolist() == [0] * 48
    assert sorted(set(early[1::2])) == [-40, 40] and early.mean() == 0


def test_a_frame_that_lasts_one_frame_is_not_left_out_in_a_tie(tmp_path):
    times = [
        0.0,
        *(0.06 + 0.04 * i for i in range(50)),
    ]  # half a tick off the grid from the second on
    seen = see(
        make_video(tmp_path / "a.mp4", seconds=2.0, video=Video(times_s=times, options=FAST))
    )
    assert np.diff(seen.times_ms[3:-2]).tolist() == [40] * (len(seen.times_ms) - 6)


@pytest.mark.parametrize(("beside_ms", "late"), [(0, 0.0), (10, 0.25), (16, 0.4), (24, -0.4)])
def test_how_far_frames_lie_beside_their_moments(tmp_path, beside_ms, late):
    times = [0.0, *((40 * i + beside_ms) / 1000 for i in range(1, 50))]
    seen = see(
        make_video(tmp_path / "a.mkv", seconds=2.0, video=Video(times_s=times, options=FAST))
    )
    assert seen.video_file.frames_late == pytest.approx(late, abs=0.03)


@pytest.mark.parametrize("fps", [12.5, NTSC, 50])
def test_at_other_rates_frames_lie_on_both_sides(tmp_path, fps):
    seen = see(make_video(tmp_path / "a.mp4", seconds=6.0, video=Video(fps=fps, options=FAST)))
    assert abs(seen.video_file.frames_late) < 0.05


def test_a_slide_is_not_left_much_too_early(tmp_path):
    times = [0.0, 2.0, 4.0, 4.2, 6.0]
    video = Video("ffv1", times_s=times, options={})
    seen = see(make_video(tmp_path / "a.mkv", seconds=7.0, video=video))
    ahead = [shown - 40 * index for index, shown in enumerate(seen.times_ms)]
    assert max(ahead) <= 500
    assert max(ahead[4 * 25 + 8 : 6 * 25]) <= 101, "after a short gap a long one is waited for"


def test_constant_25_fps_is_read_frame_for_frame(tmp_path):
    for name, start in (("a.mp4", 0.0), ("b.mkv", 0.0), ("c.ts", 0.0), ("d.mp4", 0.513)):
        seen = see(make_video(tmp_path / name, video=Video(start_s=start)))
        shown = [t for t in seen.times_ms if t is not None]
        assert np.diff(shown).tolist() == [40] * 74
        assert set(seen.times_ms[: len(seen.times_ms) - 75]) <= {None}


def test_variable_rate_goes_by_timestamps(tmp_path):
    steps = [0.02, 0.033, 0.04, 0.1, 0.017, 0.5, 0.05, 0.008, 0.04, 0.3, 0.061] * 3
    times = [0.0, *np.cumsum(steps).round(3).tolist()]
    video = Video(times_s=times, options={"preset": "ultrafast", "tune": "zerolatency"})
    for name in ("a.mp4", "a.mkv"):
        seen = see(make_video(tmp_path / name, seconds=3.6, video=video))
        assert_frames_fit(seen, times, 0.0)
        assert len(seen.times_ms) == pytest.approx(times[-1] * 25, abs=3)


def test_a_frame_held_for_long_is_kept_as_long_as_the_audio_goes_on(tmp_path):
    video = Video(codec="ffv1", times_s=[0.0, 0.04, 20.0, 20.04, 20.08])
    quiet = Audio("pcm_s16le", 16_000, "mono", samples=clicks(20.2, 16_000, [20.04]))
    seen = see(make_video(tmp_path / "a.mkv", video=video, audio=[quiet]))
    assert seen.times_ms[2:499] == [40] * 497
    assert seen.times_ms[500:503] == [20_000, 20_040, 20_080]
    assert seen.clicks_s == pytest.approx([20.04], abs=0.001)
    assert not seen.video_file.warnings


# --------------------------------------------------------------------------- audio

AVI = Video("mpeg4")
AAC_MS, MP3_MS = 1000 * 1024 / 48_000, 1000 * 1105 / 48_000
"""Priming of the encoders, which AVI cannot signal: every player plays it."""


@pytest.mark.parametrize(
    ("name", "video", "audio", "unsignalled_ms"),
    [
        ("a.mp4", Video(options=FAST), Audio("aac"), 0),
        ("a.mov", Video(options=FAST), Audio("aac"), 0),
        ("a.mkv", Video(options=FAST), Audio("aac"), 0),
        ("a.ts", Video(options=FAST), Audio("aac"), 0),
        ("a.flv", Video(options=FAST), Audio("aac", 44_100), 0),
        ("mp3.mp4", Video(options=FAST), Audio("libmp3lame"), 0),
        ("mp3.mkv", Video(options=FAST), Audio("libmp3lame"), 0),
        ("opus.mp4", Video(options=FAST), Audio("libopus"), 0),
        ("opus.webm", Video("libvpx"), Audio("libopus"), 0),
        ("flac.mkv", Video(options=FAST), Audio("flac", 44_100), 0),
        ("ac3.ts", Video(options=FAST), Audio("ac3", 48_000, "5.1"), 0),
        ("mp2.mpg", Video("mpeg2video"), Audio("mp2"), 0),
        ("pcm.mov", Video("mjpeg", pixels="yuvj420p"), Audio("pcm_s16le", 11_025, "mono"), 0),
        ("pcm.mkv", Video("ffv1"), Audio("pcm_s16le", 48_000, "5.1"), 0),
        ("pcm.avi", AVI, Audio("pcm_s16le"), 0),
        ("law.avi", AVI, Audio("pcm_mulaw", 8_000, "mono"), 0),
        ("mp3.avi", AVI, Audio("libmp3lame", start_s=MP3_MS / 1000), MP3_MS),
        ("aac.avi", AVI, Audio("aac", start_s=AAC_MS / 1000), AAC_MS),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_frame_and_audio_keep_their_relation(tmp_path, name, video, audio, unsignalled_ms):
    seen = see(make_video(tmp_path / name, video=video, audio=[audio]))
    lead = seen.lead_ms - unsignalled_ms
    assert -1.0 < lead < 81.0  # at most the start of the other stream, up to the grid of 40 ms
    assert_frames_fit(seen, frame_times_s(25, 3.0), lead)
    assert not seen.video_file.warnings


@pytest.mark.parametrize(
    ("rate", "layout"),
    [
        (8_000, "mono"),
        (16_000, "mono"),
        (22_050, "stereo"),
        (44_100, "stereo"),
        (48_000, "5.1"),
        (96_000, "mono"),
    ],
)
def test_clicks_land_where_they_belong_at_any_rate(tmp_path, rate, layout):
    path = make_video(
        tmp_path / "a.mp4", video=Video(options=FAST), audio=[Audio("aac", rate, layout)]
    )
    seen = see(path)
    assert seen.clicks_s == pytest.approx(CLICKS_S, abs=CLICK_MS / 1000)
    assert seen.video_file.source.audio_hz == rate
    assert seen.video_file.audio.peak == pytest.approx(0.7 * 32768, rel=0.25)


@pytest.mark.parametrize(
    ("name", "video_late_s", "audio_late_s"),
    [
        *((f"a.{kind}", *late) for kind in ("mp4", "mkv", "ts") for late in ((0.5, 0), (0, 0.5))),
        ("a.mov", 0.317, 0.0),
        ("a.webm", 0.317, 0.0),
    ],
)
def test_streams_that_start_apart(tmp_path, name, video_late_s, audio_late_s):
    webm = name.endswith("webm")
    video = Video(
        "libvpx" if webm else "libx264", start_s=video_late_s, options={} if webm else FAST
    )
    audio = Audio("libopus" if webm else "aac", start_s=audio_late_s)
    seen = see(make_video(tmp_path / name, video=video, audio=[audio]))
    lead = seen.lead_ms - 1000 * audio_late_s
    assert -1.0 < lead < 81.0
    assert_frames_fit(seen, [t + video_late_s for t in frame_times_s(25, 3.0)], lead)
    first = next(index for index, shown in enumerate(seen.times_ms) if shown is not None)
    assert 40 * first == pytest.approx(lead + 1000 * video_late_s, abs=1.1)  # on the grid
    facts = seen.video_file.source
    apart = facts.video_start_s - facts.audio_start_s
    assert apart == pytest.approx(video_late_s - audio_late_s, abs=0.025)
    assert any("later than the other stream" in text for text in seen.video_file.warnings)
    end = (3.0 + video_late_s + lead / 1000, 3.0 + audio_late_s + lead / 1000)
    assert facts.duration_s == pytest.approx(max(end), abs=0.1)


def test_lost_audio_becomes_silence_and_what_follows_stays_in_place(tmp_path):
    for name, audio in (
        ("a.mkv", Audio("pcm_s16le", 16_000, "mono", lost_s=[(0.6, 1.2)])),
        ("a.mp4", Audio("aac", lost_s=[(0.6, 1.2)])),
    ):
        seen = see(make_video(tmp_path / name, video=Video(options=FAST), audio=[audio]))
        heard = [t for t in CLICKS_S if not 0.6 < t < 1.2]
        assert seen.clicks_s == pytest.approx(heard, abs=CLICK_MS / 1000)
        assert not np.any(seen.audio[11_000:18_500])
        assert any("1 gap" in text for text in seen.video_file.warnings)


def test_jitter_of_timestamps_is_not_a_gap(tmp_path):
    random = np.random.default_rng(3)
    audio = Audio("pcm_s16le", 16_000, "mono", retime=lambda t: t + random.uniform(0, 0.015))
    seen = see(make_video(tmp_path / "a.mkv", video=Video(options=FAST), audio=[audio]))
    assert np.array(seen.clicks_s) - CLICKS_S == pytest.approx(
        np.full(len(CLICKS_S), 0.0075), abs=0.009
    )
    assert seen.video_file.audio.gaps == 0
    assert len(seen.audio) / AUDIO_HZ == pytest.approx(3.0, abs=0.03)


@pytest.mark.parametrize("rate", [0.995, 1.004])
def test_an_audio_clock_that_runs_differently_follows_its_timestamps(tmp_path, rate):
    seconds = 12.0
    times = [0.5 + 0.97 * i for i in range(12)]
    audio = Audio(
        "pcm_s16le", 16_000, "mono", clicks(seconds, 16_000, times), retime=lambda t: t * rate
    )
    path = make_video(
        tmp_path / "a.mkv", seconds=seconds, video=Video(fps=5, options=FAST), audio=[audio]
    )
    seen = see(path)
    assert seen.clicks_s == pytest.approx([t * rate for t in times], abs=0.012)
    assert seen.video_file.audio.gaps == 0
    assert any("drift apart" in text for text in seen.video_file.warnings)


def test_the_second_audio_track_can_be_chosen(tmp_path):
    first = Audio("aac", samples=clicks(3.0, 48_000, [0.5]))
    path = make_video(
        tmp_path / "a.mkv", video=Video(options=FAST), audio=[first, Audio("libmp3lame")]
    )
    first, second = (StreamSelection(audio_track=number) for number in (0, 1))
    assert see(path, streams=first).clicks_s == pytest.approx([0.5], abs=0.001)
    assert see(path, streams=second).clicks_s == pytest.approx(CLICKS_S, abs=0.001)
    for number in (2, -1):
        with pytest.raises(UsageError, match="no audio track") as caught:
            VideoFile(path, streams=StreamSelection(audio_track=number))
        assert "--audio-track 0 to 1" in caught.value.remedy


def test_audio_that_comes_after_all_frames_in_the_file(tmp_path):
    path = make_video(tmp_path / "a.mkv", video=Video(options=FAST), order="audio last")
    with av.open(str(path)) as container:
        kinds = [packet.stream.type for packet in container.demux() if packet.size]
    assert kinds.index("audio") > 60, "the video is not what the test needs"
    seen = see(path)
    assert_frames_fit(seen, frame_times_s(25, 3.0), 0.0)
    assert seen.clicks_s == pytest.approx(CLICKS_S, abs=0.001)


# --------------------------------------------------------------------------- timestamps that lie


def test_frames_without_timestamps_follow_one_another(tmp_path):
    path = make_video(tmp_path / "a.h264", video=Video(options=FAST), audio=[], container="h264")
    seen = see(path, need_audio=False)
    assert seen.times_ms == [40 * i for i in range(75)]


@pytest.mark.parametrize("codec", ["mpeg4", "libx264"])
def test_avi_with_b_frames_is_steady(tmp_path, codec):
    # AVI carries the decoding order only: players show such videos late by the codec's delay.
    video = Video(codec, options={"bf": "2"})
    seen = see(make_video(tmp_path / "a.avi", video=video, audio=[Audio("pcm_s16le")]))
    shown = seen.times_ms[5:-3]
    assert np.diff(shown).tolist() == [40] * (len(shown) - 1)
    assert 0 < 40 * 5 - shown[0] <= 80
    assert seen.clicks_s == pytest.approx(CLICKS_S, abs=0.001)


@pytest.mark.parametrize(
    ("name", "stray_s", "options"),
    [("a.mkv", 30.0, FAST), ("a.mkv", 4 * 3600.0, FAST), ("a.mp4", 30.0, {"bf": "3"})],
)
def test_a_stray_timestamp_is_ignored(tmp_path, name, stray_s, options):
    video = Video(options=options, retime=lambda t: t + (stray_s if abs(t - 1.0) < 0.01 else 0.0))
    seen = see(make_video(tmp_path / name, video=video))
    times = [t for t in frame_times_s(25, 3.0) if t != 1.0]
    assert_frames_fit(seen, times, 0.0)
    assert any("stray" in text for text in seen.video_file.warnings)


def test_a_leap_of_hours_in_both_streams_does_not_make_hours_of_video(tmp_path):
    def leap(t: float) -> float:
        return t + (5 * 3600.0 if t > 1.5 else 0.0)

    audio = Audio("pcm_s16le", 16_000, "mono", retime=leap)
    seen = see(
        make_video(tmp_path / "a.mkv", video=Video(options=FAST, retime=leap), audio=[audio])
    )
    assert len(seen.times_ms) == pytest.approx(75, abs=4)
    assert_relation_after(seen, 1.6)
    assert any("break off" in text for text in seen.video_file.warnings)


def test_streams_that_claim_to_start_hours_apart_do_not_make_hours_of_video(tmp_path):
    audio = Audio("pcm_s16le", 16_000, "mono", start_s=3 * 3600.0)
    seen = see(make_video(tmp_path / "a.mkv", video=Video(options=FAST), audio=[audio]))
    assert len(seen.times_ms) == 75 and len(seen.clicks_s) == len(CLICKS_S)
    assert len(seen.audio) < 10 * AUDIO_HZ
    assert any("break off" in text for text in seen.video_file.warnings)


def test_recordings_joined_end_to_end_keep_their_relation(tmp_path):
    first = make_video(
        tmp_path / "1.ts",
        video=Video(options=FAST),
        audio=[Audio("aac", samples=clicks(3, 48_000, []))],
    )
    second = make_video(tmp_path / "2.ts", video=Video(options=FAST))
    joined = tmp_path / "joined.ts"
    joined.write_bytes(first.read_bytes() + second.read_bytes())
    seen = see(joined)
    assert len(seen.times_ms) == pytest.approx(150, abs=6)
    late = np.array(seen.clicks_s) - CLICKS_S
    assert late.mean() == pytest.approx(3.0, abs=0.1) and np.ptp(late) < 0.001
    part = [(index, shown) for index, shown in enumerate(seen.times_ms) if index > 85]
    for index, shown in part[:-2]:
        assert shown / 1000 == pytest.approx(index / 25 - late.mean(), abs=0.021)


def assert_relation_after(seen: Seen, from_s: float) -> None:
    """From a moment of the video's own time on, video and audio are equally late."""
    expected = [t for t in CLICKS_S if t > from_s]
    late = np.array(seen.clicks_s[-len(expected) :]) - expected
    for index, shown in enumerate(seen.times_ms):
        if shown is not None and from_s < shown / 1000 < 2.9:
            assert index / 25 - shown / 1000 == pytest.approx(late.mean(), abs=0.021)


def clock_of(start_s: float | None = 0.0) -> tuple[StreamClock, list[str]]:
    warnings: list[str] = []
    timeline = Timeline(start_s, warnings.append)
    return timeline.clock(start_s, "video"), warnings


def run_clock(clock: StreamClock, stamps: list[float | None]) -> list[float]:
    out = [t for stamp in stamps for _, t in clock.take(None, stamp, 0.04)]
    return out + [t for _, t in clock.finish()]


def test_a_slide_show_keeps_its_times():
    clock, warnings = clock_of()
    assert run_clock(clock, [0.0, 30.0, 60.0, 90.0]) == [0.0, 30.0, 60.0, 90.0]
    assert not warnings


def test_a_timeline_without_announced_start_begins_with_the_first_frame():
    clock, _ = clock_of(None)
    assert run_clock(clock, [80_000.0, 80_000.04]) == [0.0, pytest.approx(0.04)]


def test_missing_timestamps_continue():
    clock, _ = clock_of(1.0)
    assert run_clock(clock, [None, None, 1.08]) == pytest.approx([0.0, 0.04, 0.08])


def test_a_last_frame_hours_away_is_dropped():
    clock, warnings = clock_of()
    assert run_clock(clock, [0.0, 0.04, 9_000.0]) == [0.0, 0.04]
    assert warnings


def test_a_header_that_lies_about_the_start_by_hours():
    clock, _ = clock_of(0.0)
    times = run_clock(clock, [7_200.0, 7_200.04, 7_200.08])
    assert times == pytest.approx([0.0, 0.04, 0.08])


@pytest.mark.parametrize("audio_goes_on", [True, False])
def test_hours_without_frames_count_only_if_the_audio_goes_on(audio_goes_on):
    timeline = Timeline(0.0, lambda _: None)
    image, audio = timeline.clock(0.0, "video"), timeline.clock(0.0, "audio")
    for stamp in np.arange(0.0, 4_000.0 if audio_goes_on else 1.0, 5.0):
        list(audio.take(None, float(stamp), 5.0))
    times = run_clock(image, [0.0, 3_990.0, 3_990.04])
    assert times[1:] == pytest.approx([3_990.0, 3_990.04] if audio_goes_on else [5.0, 5.04])


def test_decoding_timestamps_serve_where_presentation_timestamps_run_backwards():
    times = PresentationTimes(doubtful=True)
    pairs = [(24, 48), (48, 72), (96, 96), (72, 120), (168, 144), (144, 168), (192, 192)]
    assert [times.best(pts, dts) for pts, dts in pairs][3:] == [120, 144, 168, 192]
    assert PresentationTimes().best(None, 7) == 7
    assert PresentationTimes().best(None, None) is None


# --------------------------------------------------------------------------- pixels


@pytest.mark.parametrize(
    ("rotation", "flips", "turn"),
    [
        (90, (False, False), lambda p: np.rot90(p, -1)),
        (-90, (False, False), lambda p: np.rot90(p, 1)),
        (180, (False, False), lambda p: np.rot90(p, 2)),
        (0, (True, False), lambda p: p[:, ::-1]),
        (0, (False, True), lambda p: p[::-1]),
        (90, (True, False), lambda p: np.rot90(p[:, ::-1], -1)),
    ],
    ids=["left", "right", "over", "mirrored", "upside down", "left and mirrored"],
)
def test_frames_are_upright(tmp_path, rotation, flips, turn):
    shown = (96, 160)
    images = [turn(time_image(40 * i, shown)) for i in range(5)]
    size = images[0].shape[::-1]
    video = Video(size=size, images=images, rotation=rotation, flips=flips, options=FAST)
    path = make_video(tmp_path / "a.mp4", seconds=0.2, video=video)
    seen = see(path, colour="rgb")
    assert seen.times_ms == [0, 40, 80, 120, 160]
    assert (seen.video_file.source.width_px, seen.video_file.source.height_px) == shown
    with VideoFile(path, colour="rgb") as video_file:
        image = next(iter(video_file))
    assert image.colour.shape == (*image.luma.shape, 3) == (160, 96, 3)
    assert read_time_ms(np.ascontiguousarray(image.colour[..., 1])) == 0


@pytest.mark.parametrize(
    ("codec", "pixels", "size"),
    [
        ("libx264", "yuv420p10le", (192, 128)),
        ("libx264", "yuv444p", (161, 97)),
        ("ffv1", "yuv422p10le", (161, 97)),
        ("ffv1", "gray", (161, 97)),
        ("ffv1", "gray10le", (192, 128)),
        ("ffv1", "bgr0", (161, 97)),
        ("libx264rgb", "rgb24", (192, 128)),
        ("mjpeg", "yuvj420p", (192, 128)),
        ("rawvideo", "yuyv422", (192, 128)),
        ("libx264", "nv12", (192, 128)),
    ],
)
def test_any_pixel_format_gives_the_same_luma(tmp_path, codec, pixels, size):
    video = Video(codec, pixels=pixels, size=size, options={"qp": "1"} if "264" in codec else {})
    path = make_video(tmp_path / "a.mkv", seconds=0.2, video=video, audio=[])
    with VideoFile(path, need_audio=False, colour="bgr") as video_file:
        images = list(video_file)
    assert [read_time_ms(p.luma) for p in images] == [0, 40, 80, 120, 160]
    luma = images[0].luma
    assert luma.flags.owndata, "a view would keep the decoder's whole frame"
    assert luma.shape == size[::-1] and luma.dtype == np.uint8 and luma.flags.c_contiguous
    if not pixels.startswith("gray"):  # written from RGB by another formula
        assert int(luma.min()) == pytest.approx(50, abs=3)  # 16 + 40 * 219 / 255
        assert int(luma.max()) == pytest.approx(196, abs=3)
        assert int(images[0].colour.max()) == pytest.approx(210, abs=4)


def test_pixels_that_are_not_square_are_stretched(tmp_path):
    video = Video(size=(144, 128), aspect=Fraction(4, 3), options=FAST)
    path = make_video(tmp_path / "a.mp4", seconds=0.2, video=video)
    with VideoFile(path) as video_file:
        assert next(iter(video_file)).luma.shape == (128, 192)
        assert (video_file.source.width_px, video_file.source.height_px) == (192, 128)


def test_large_frames_are_reduced_and_say_so(tmp_path):
    video = Video("mjpeg", size=(4000, 1000), pixels="yuvj420p")
    path = make_video(tmp_path / "a.mkv", seconds=0.08, video=video, audio=[])
    with VideoFile(path, need_audio=False, colour="rgb") as video_file:
        image = next(iter(video_file))
        assert image.luma.shape == (480, 1920) and image.colour.shape == (480, 1920, 3)
        assert image.scale == pytest.approx(0.48)
        assert video_file.source.width_px == 4000
        assert read_time_ms(image.luma) == 0


# --------------------------------------------------------------------------- what is not a video


def short(path: Path) -> Path:
    return make_video(path, seconds=0.2, video=Video(options=FAST))


def half_of(path: Path) -> Path:
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    return path


def with_bytes(path: Path, old: bytes, new: bytes) -> Path:
    data = path.read_bytes()
    assert old in data
    path.write_bytes(data.replace(old, new))
    return path


def headers_only(path: Path) -> Path:
    with av.open(str(path), "w") as video_file:
        video = video_file.add_stream("libx264", rate=25)
        video.width, video.height, video.pix_fmt = 64, 64, "yuv420p"
        video_file.add_stream("aac", rate=48_000)
        video_file.start_encoding()
    return path


def text(path: Path, words: str) -> Path:
    path.write_text(words)
    return path


def folder(path: Path) -> Path:
    path.mkdir()
    return path


BAD = {
    "missing": (lambda d: d / "no.mp4", MissingError, EXIT_MISSING, "no such file"),
    "below a file": (lambda d: text(d / "f", "x") / "a.mp4", MissingError, EXIT_MISSING, "no such file"),
    "nul": (lambda d: d / "a\0b.mp4", MissingError, EXIT_MISSING, "no such file"),
    "name too long": (lambda d: d / ("a" * 300), MissingError, EXIT_MISSING, "cannot read"),
    "empty": (lambda d: text(d / "a.mp4", ""), MediaError, EXIT_UNEXPECTED, "is empty"),
    "text": (lambda d: text(d / "a.mp4", "no video\n" * 99), MediaError, EXIT_UNEXPECTED, "cannot be read"),
    "folder": (lambda d: folder(d / "a.mp4"), UsageError, EXIT_USAGE, "is a folder"),
    "subtitles": (
        lambda d: text(d / "a.srt", "1\n00:00:00,000 --> 00:00:01,000\nhello\n\n"),
        MediaError, EXIT_UNEXPECTED, "it is a subtitle file",
    ),
    "cut before its index": (
        lambda d: half_of(make_video(d / "a.mp4", seconds=1, video=Video(options=FAST))),
        MediaError, EXIT_UNEXPECTED, "cannot be read",
    ),
    "no audio": (
        lambda d: make_video(d / "a.mp4", seconds=0.2, video=Video(options=FAST), audio=[]),
        MediaError, EXIT_UNEXPECTED, "no audio track",
    ),
    "no video": (
        lambda d: make_video(d / "a.m4a", seconds=0.2, video=None),
        MediaError, EXIT_UNEXPECTED, "no video track",
    ),
    "cover image only": (
        lambda d: make_video(d / "a.mp4", seconds=0.2, video=None, cover=True),
        MediaError, EXIT_UNEXPECTED, "no video track",
    ),
    "headers only": (lambda d: headers_only(d / "a.mkv"), MediaError, EXIT_UNEXPECTED, "cannot be read"),
    "no frame": (
        lambda d: make_video(d / "a.mp4", seconds=0.2, video=Video(times_s=[])),
        MediaError, EXIT_UNEXPECTED, "a.mp4 has no video track",
    ),
    "silent track": (
        lambda d: make_video(d / "a.mkv", seconds=0.2, video=Video(options=FAST),
                            audio=[Audio("pcm_s16le", lost_s=[(-1, 99)])]),
        MediaError, EXIT_UNEXPECTED, "no audio could be decoded",
    ),
    "unknown video codec": (
        lambda d: with_bytes(short(d / "a.mp4"), b"avc1", b"zzzz"),
        MediaError, EXIT_UNEXPECTED, "no decoder for its video",
    ),
    "unknown audio codec": (
        lambda d: with_bytes(short(d / "a.mkv"), b"A_AAC", b"A_ZZZ"),
        MediaError, EXIT_UNEXPECTED, "no decoder for its audio",
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", BAD)
def test_each_bad_input_is_one_clear_error(tmp_path, kind):
    make, error, code, words = BAD[kind]
    with pytest.raises(SyncToolError, match=words) as caught:
        see(make(tmp_path))
    assert type(caught.value) is error
    assert caught.value.exit_code == code
    assert caught.value.remedy
    assert no_decoder_runs()


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything"
)
def test_a_file_that_may_not_be_read(tmp_path):
    path = make_video(tmp_path / "a.mp4", seconds=0.2)
    path.chmod(0)
    with pytest.raises(MissingError, match="cannot read"):
        VideoFile(path)


@pytest.mark.parametrize("name", ["a.mkv", "a.ts"])
def test_a_video_that_breaks_off_is_read_as_far_as_it_goes(tmp_path, name):
    seen = see(half_of(make_video(tmp_path / name, video=Video(options=FAST))))
    assert 20 < len(seen.times_ms) < 65
    shown = [t for t in seen.times_ms if t is not None]
    assert shown == [40 * i for i in range(len(shown))]
    if name == "a.mkv":  # a transport stream does not say how long it should be
        assert seen.video_file.warnings


def test_damage_in_the_middle_is_survived_and_told(tmp_path):
    path = make_video(tmp_path / "a.ts", video=Video(options={"preset": "ultrafast", "g": "12"}))
    data = bytearray(path.read_bytes())
    middle = len(data) // 2 // 188 * 188
    data[middle : middle + 20 * 188] = os.urandom(20 * 188)
    path.write_bytes(data)
    with VideoFile(path) as video_file:
        indices = sum(1 for _ in video_file)
        heard = find_clicks(video_file.audio.pop(video_file.audio.end))
    assert indices == pytest.approx(76, abs=2)
    assert sum(any(abs(t - c) < 0.045 for c in CLICKS_S) for t in heard) >= 5


def test_a_cover_is_not_the_frame(tmp_path):
    for name in ("a.mp4", "a.mkv"):
        seen = see(make_video(tmp_path / name, seconds=0.4, video=Video(options=FAST), cover=True))
        assert seen.times_ms == [40 * i for i in range(10)]


# --------------------------------------------------------------------------- one pass, bounded


def no_decoder_runs(patience_s: float = 3.0) -> bool:
    until = time.monotonic() + patience_s
    while any(t.name == "synctool-decode" for t in threading.enumerate()):
        if time.monotonic() > until:
            return False
        time.sleep(0.01)
    return True


@pytest.fixture(scope="module")
def long_video(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("long") / "a.mp4"
    audio = Audio("aac", 16_000, "mono", murmur(12.0))
    return make_video(path, seconds=12.0, video=Video(options=FAST), audio=[audio])


def test_leaving_early_stops_the_decoder(long_video):
    with VideoFile(long_video) as video_file:
        for image in video_file:
            if image.index == 40:
                break
        assert no_decoder_runs()  # even before the video is closed
    video_file.close()
    with VideoFile(long_video) as video_file:
        iterator = iter(video_file)
        next(iterator)
    assert no_decoder_runs()
    with pytest.raises(ZeroDivisionError), VideoFile(long_video) as video_file:
        for _ in video_file:
            1 / 0  # noqa: B018
    assert no_decoder_runs()


def test_a_video_can_be_opened_and_left_unread(long_video):
    with VideoFile(long_video) as video_file:
        assert video_file.expected_frames == pytest.approx(300, abs=2)
        assert video_file.source.duration_s == pytest.approx(12.0, abs=0.1)
        assert video_file.frame_count == 0


def test_a_video_is_iterated_over_once(long_video):
    with VideoFile(long_video) as video_file:
        next(iter(video_file))
        with pytest.raises(RuntimeError, match="once"):
            next(iter(video_file))
    with pytest.raises(RuntimeError, match="open"):
        next(iter(video_file))


def test_closing_from_another_thread_ends_the_iteration(long_video):
    video_file = VideoFile(long_video)
    images = iter(video_file)
    next(images)
    closer = threading.Thread(target=video_file.close)
    closer.start()
    assert sum(1 for _ in images) < 300
    closer.join()
    assert no_decoder_runs()


def test_a_slow_reader_does_not_fill_the_memory(long_video, monkeypatch):
    alive: weakref.WeakSet[np.ndarray] = weakref.WeakSet()
    known: list[weakref.ref[np.ndarray]] = []
    most = 0
    read = video_module.FrameReader.read

    def counted(self, frame):
        arrays = read(self, frame)
        known.append(weakref.ref(arrays[0]))
        return arrays

    monkeypatch.setattr(video_module.FrameReader, "read", counted)
    with VideoFile(long_video) as video_file:
        for image in video_file:
            if image.index % 10 == 0:
                time.sleep(0.01)
                most = max(most, sum(ref() is not None for ref in known))
        assert video_file.frame_count == len(known) == 300
    del alive, image
    assert most <= QUEUED_FRAMES + 4
    gc.collect()
    video_file._screen._shown_arrays = None
    assert sum(ref() is not None for ref in known) == 0


def test_audio_and_frames_come_piecemeal(long_video):
    with VideoFile(long_video) as video_file:
        popped, most = 0, 0
        for _ in video_file:
            most = max(most, video_file.audio.available)
            popped += video_file.audio.pop(video_file.audio.available // 2).size
        popped += video_file.audio.pop(video_file.audio.available).size
        assert popped == video_file.audio.end == pytest.approx(12 * AUDIO_HZ, abs=2000)
        assert most < 4 * AUDIO_HZ


# --------------------------------------------------------------------------- the audio's own container


def test_audio_track_places_fills_and_drops():
    track = AudioTrack()
    track.place(np.full(100, 5, np.int16), 50)
    track.place(np.full(100, 6, np.int16))
    track.place(np.full(100, 7, np.int16), 200)  # overlaps by 50
    track.place(np.full(100, 8, np.int16), 1000)
    track.place(np.full(10, 9, np.int16), 20)  # all before: dropped
    assert (track.end, track.available, track.gaps, track.peak) == (1100, 1100, 1, 8)
    first = track.pop(170)
    assert first.tolist() == [0] * 50 + [5] * 100 + [6] * 20
    rest = track.pop(9999)
    assert rest.tolist() == [6] * 80 + [7] * 50 + [0] * 700 + [8] * 100
    assert track.available == 0 and track.end == 1100


def test_audio_before_the_timeline_is_cut_off():
    track = AudioTrack()
    for start in range(-300, 300, 100):
        track.place(np.full(100, start // 100, np.int16), start)
    assert track.pop(999).tolist() == [0] * 100 + [1] * 100 + [2] * 100


def test_a_bogus_gap_does_not_exhaust_the_memory():
    track = AudioTrack()
    track.place(np.ones(10, np.int16), 0)
    track.place(np.ones(10, np.int16), 10**12)
    assert track.end == 20


# --------------------------------------------------------------------------- changes on the way


def under_other_pids(source: Path, target: Path, *, later_s: float, pid: int) -> Path:
    """The same streams in a transport stream with other PIDs, later."""
    options = {"mpegts_start_pid": str(pid), "mpegts_pmt_start_pid": str(pid + 64)}
    with av.open(str(source)) as old, av.open(str(target), "w", "mpegts", options=options) as new:
        streams = {s.index: new.add_stream_from_template(s) for s in old.streams}
        for packet in old.demux():
            if packet.dts is None:
                continue
            indices = round(later_s / packet.time_base)
            packet.pts, packet.dts = packet.pts + indices, packet.dts + indices
            packet.stream = streams[packet.stream.index]
            new.mux(packet)
    return target


def test_a_frame_size_that_changes_is_read_on(tmp_path):
    """Two halves of another size in one transport stream: the scale keeps to the first one's pixels."""
    path = tmp_path / "a.ts"
    halves = []
    for number, size in enumerate(((160, 96), (320, 192))):
        half = make_video(
            tmp_path / f"{number}.ts", video=Video(size=size, options=FAST), audio=[Audio("mp2")]
        )
        halves.append(
            under_other_pids(half, tmp_path / f"h{number}.ts", later_s=3.0 * number, pid=0x100)
        )
    path.write_bytes(b"".join(half.read_bytes() for half in halves))
    with VideoFile(path) as video_file:
        cuts = ShotCuts()
        shapes, scales, starts = [], [], []
        for image in video_file:
            if image.luma is None:
                continue
            shapes.append(image.luma.shape)
            scales.append(image.scale)
            starts.append(cuts.starts_with(image.index, image.luma))
    change = shapes.index((192, 320))
    assert set(shapes[:change]) == {(96, 160)} and set(shapes[change:]) == {(192, 320)}
    assert set(scales[:change]) == {1.0} and set(scales[change:]) == {2.0}
    assert starts[change] and 60 < change < 90 and len(shapes) > 140


def test_closing_a_video_ends_its_codecs(tmp_path):
    path = make_video(tmp_path / "a.mp4")
    gc.collect()
    gc.disable()  # their threads must not wait for a collection
    try:
        before = _codecs()
        with VideoFile(path) as video:
            assert sum(1 for _ in video)
            assert _codecs() > before
        assert _codecs() == before
        assert video.source.video_fps == 25
    finally:
        gc.enable()


def _codecs() -> int:
    return sum(isinstance(thing, av.CodecContext) for thing in gc.get_objects())
