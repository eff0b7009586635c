"""The parts of ``live`` that need no video: addresses, timestamps, alarms, drift, events."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import theilslopes

from synctool.errors import MissingError, UsageError
from synctool.live.addresses import live_address, live_addresses
from synctool.live.alarms import Alarm, Limits
from synctool.live.answers import Answer
from synctool.live.clock_drift import DriftWatch, median_slope
from synctool.live.continuity import WRAP_TICKS, Break, Continuity
from synctool.live.events import Event

# ---------------------------------------------------------------------- addresses


@pytest.mark.parametrize(
    ("text", "label", "kind"),
    [
        ("udp://239.0.0.1:5000?pkt_size=1316", "udp://239.0.0.1:5000", "stream"),
        ("udp://@:5000", "udp://:5000", "stream"),
        ("https://me:key@tv.example/live.m3u8?token=a", "https://tv.example/live.m3u8", "stream"),
        ("News 1=rtsp://10.0.0.7/main", "News 1", "stream"),
        ("RTMP://host/app", "rtmp://host/app", "stream"),
        ("device:avfoundation:0:0", "0:0", "device"),
        ("-", "stdin", "pipe"),
        ("studio=-", "studio", "pipe"),
    ],
)
def test_sources_are_told_apart(text: str, label: str, kind: str) -> None:
    found = live_address(text)
    assert (found.label, found.kind) == (label, kind)


def test_files_and_pipes(tmp_path: Path) -> None:
    file = tmp_path / "a=b.mp4"
    file.write_bytes(b"x")
    os.mkfifo(tmp_path / "pipe")
    assert live_address(str(file)).label == "a=b.mp4"
    assert live_address(str(file)).kind == "file"
    assert live_address(str(tmp_path / "pipe")).kind == "pipe"
    assert not live_address(str(file)).endless


@pytest.mark.parametrize(
    "text",
    ["gopher://host/x", "udp://", "http://[", "device:v4l2", "rtsp:///path", "/dev/null"],
)
def test_what_is_no_source_is_refused(text: str) -> None:
    with pytest.raises(UsageError) as refused:
        live_address(text)
    assert refused.value.remedy


def test_missing_files_and_equal_names() -> None:
    with pytest.raises(MissingError):
        live_address("/no/such/file.mp4")
    with pytest.raises(UsageError, match="two sources"):
        live_addresses(["udp://h:1?a", "udp://h:1?b"])


# ---------------------------------------------------------------------- timestamps


@dataclass
class Packet:
    pts: int | None
    dts: int | None
    time_base: Fraction | None = Fraction(1, 90_000)


def times_of(continuity: Continuity, kind: str, ticks: list[int]) -> list[int | str]:
    """What comes out for packets that go in: decoding times, and ``break``."""
    found: list[int | str] = []
    for at in ticks:
        for item in continuity.take(kind, Packet(at, at)):
            found.append("break" if isinstance(item, Break) else item.dts or 0)
    return found


def test_a_clock_that_begins_anew_goes_on() -> None:
    continuity = Continuity(wraps=True)
    ticks = [(WRAP_TICKS - 3 * 3600 + 3600 * i) % WRAP_TICKS for i in range(8)]
    video = times_of(continuity, "video", ticks)
    assert np.diff(video).tolist() == [3600] * 7
    # FFmpeg adds the wrap itself for a day, and then no longer.
    video = times_of(continuity, "video", [WRAP_TICKS + ticks[-1] + 3600, ticks[-1] + 7200])
    assert video == [WRAP_TICKS + ticks[-1] + 3600, WRAP_TICKS + ticks[-1] + 7200]
    audio = times_of(continuity, "audio", [WRAP_TICKS - 1000, 1000])
    assert np.diff(audio).tolist() == [2000]


def test_without_33_bits_it_is_a_break() -> None:
    found = times_of(Continuity(wraps=False), "video", [WRAP_TICKS - 3600, 0, 3600])
    assert found == [WRAP_TICKS - 3600, "break", 0, 3600]


def test_a_stray_timestamp_is_left_out() -> None:
    s = 90_000
    found = times_of(Continuity(wraps=True), "audio", [0, s, 900 * s, 2 * s, 3 * s])
    assert found == [0, s, 2 * s, 3 * s]


def test_both_streams_jump_and_what_is_late_is_left_out() -> None:
    s = 90_000
    continuity = Continuity(wraps=True)
    assert times_of(continuity, "audio", [0, s]) == [0, s]
    assert times_of(continuity, "video", [0, s, 500 * s, 501 * s]) == [
        0,
        s,
        "break",
        500 * s,
        501 * s,
    ]
    assert times_of(continuity, "audio", [2 * s, 3 * s, 500 * s, 501 * s]) == [500 * s, 501 * s]


def test_short_gaps_and_missing_times_are_no_breaks() -> None:
    s = 90_000
    continuity = Continuity(wraps=True)
    assert times_of(continuity, "video", [0, 9 * s, 9 * s - s // 2]) == [0, 9 * s, 9 * s - s // 2]
    assert len(list(continuity.take("video", Packet(None, None)))) == 1
    assert len(list(continuity.take("video", Packet(5, 5, None)))) == 1


# ---------------------------------------------------------------------- alarms


def changes(alarm: Alarm, offsets: list[float | None], *, start: float = 0.0) -> list[str | None]:
    return [alarm.add(offset, start + at) for at, offset in enumerate(offsets)]


def test_an_alarm_needs_its_time_and_ends_with_hysteresis() -> None:
    alarm = Alarm(Limits.of("100"), for_s=3)
    assert changes(alarm, [20.0, 110, 120, 115, 118]) == [None, None, None, None, "alarm"]
    assert alarm.active
    assert changes(alarm, [95.0] * 10, start=5) == [None] * 10  # in order, but not by enough
    assert changes(alarm, [70.0] * 4, start=15) == [None, None, None, "recovery"]
    assert not alarm.active


def test_seconds_without_an_answer_neither_raise_nor_end_an_alarm() -> None:
    alarm = Alarm(Limits.of("100"), for_s=3)
    assert changes(alarm, [150.0, None, None, None, None]) == [None] * 5
    assert changes(alarm, [150.0, 150.0], start=5) == [None, "alarm"]
    assert changes(alarm, [None] * 100, start=7) == [None] * 100
    assert alarm.active
    assert changes(alarm, [0.0], start=110) == [None]


def test_a_run_is_forgotten_after_a_long_pause() -> None:
    alarm = Alarm(Limits.of("100"), for_s=3)
    assert changes(alarm, [150.0, 150.0]) == [None, None]
    assert changes(alarm, [150.0, 150.0, 150.0, 150.0], start=100) == [None] * 3 + ["alarm"]


def test_offsets_that_jump_about_make_no_alarm() -> None:
    """Chance matches, of music or another's voice."""
    random = np.random.default_rng(0)
    alarm = Alarm(Limits.of("100"), for_s=3)
    offsets = random.uniform(-600, 600, 2000).tolist()
    assert changes(alarm, offsets).count("alarm") <= 1
    drifting = Alarm(Limits.of("100"), for_s=3)
    assert "alarm" in changes(drifting, [20.0 * n for n in range(20)])


def test_an_inside_answer_begins_the_time_anew() -> None:
    alarm = Alarm(Limits.of("100"), for_s=3)
    assert changes(alarm, [150.0, 150, 150, 90, 150, 150, 150]) == [None] * 7


@pytest.mark.parametrize(
    ("text", "behind", "ahead"),
    [("detectable", -125, 45), ("unacceptable", -185, 90), ("80", -80, 80), ("-80.5", -80.5, 80.5)],
)
def test_limits_by_name_and_number(text: str, behind: float, ahead: float) -> None:
    limits = Limits.of(text)
    assert (limits.behind_ms, limits.ahead_ms) == (behind, ahead)
    assert limits.hold(ahead) and limits.hold(behind) and not limits.hold(ahead + 1)
    assert limits.behind_ms < limits.narrower.behind_ms < 0 < limits.narrower.ahead_ms < ahead


@pytest.mark.parametrize("text", ["0", "loud", "nan", "1e9", ""])
def test_what_is_no_limit_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="milliseconds"):
        Limits.of(text)


# ---------------------------------------------------------------------- drift


def test_the_drift_of_clocks_is_told_in_ms_per_hour() -> None:
    random = np.random.default_rng(0)
    watch = DriftWatch()
    for second in range(0, 2 * 3600, 3):
        offset = 20 + 36.0 * second / 3600 + random.normal(0, 8)
        if random.random() < 0.03:
            offset += 300  # a wrong answer now and then
        watch.add(offset, float(second), confidence=0.95)
    assert watch.drift is not None
    assert watch.drift.ms_per_hour == pytest.approx(36.0, abs=1.5)
    assert watch.drift.low < 36.0 < watch.drift.high
    assert watch.drift.hours == pytest.approx(2.0, abs=0.1)


@pytest.mark.parametrize("decimals", [3, -1])
def test_median_slopes_are_those_of_scipy(decimals: int) -> None:
    """With ties, too, in either direction."""
    random = np.random.default_rng(1)
    for count in (5, 12, 60):
        x = np.sort(random.integers(0, 2 * count, count) / 7)
        y = np.round(3 * x + random.normal(0, 4, count), decimals)
        slope, _, low, high = theilslopes(y, x, alpha=0.95)
        assert median_slope(x, y) == pytest.approx((slope, low, high))


def test_a_step_begins_the_drift_anew_and_little_tells_none() -> None:
    watch = DriftWatch()
    for second in range(200):
        watch.add(0.0, float(second), confidence=0.9)
    assert watch.drift is None
    for second in range(200, 3600):
        watch.add(0.0 if second < 1800 else 200.0, float(second), confidence=0.9)
    assert watch.drift is not None
    assert abs(watch.drift.ms_per_hour) < 1.0
    watch.restart()
    assert watch.drift is None


def test_unsure_answers_do_not_count_for_the_drift() -> None:
    watch = DriftWatch()
    for second in range(3600):
        watch.add(float(second), float(second), confidence=0.6)
    assert watch.drift is None


# ---------------------------------------------------------------------- events


def test_events_are_plain_data() -> None:
    answer = Answer(3.0124, 0.98765, "unacceptable", faces=1, speaker=4, speech=True)
    event = Event("answer", "news", t_s=12.0, part=0, answer=answer, alarm=True, delay_s=0.52)
    made = json.loads(json.dumps(event.to_dict()))
    assert made["schema"] == "synctool.live/1"
    assert (made["event"], made["source"], made["t_s"]) == ("answer", "news", 12.0)
    assert (made["offset_ms"], made["audio_is"], made["confidence"]) == (120, "ahead", 0.9877)
    assert made["alarm"] is True
    assert made["drift_ms_per_hour"] is None
    assert made["time"].endswith("Z")
    none = Event("answer", "n", answer=Answer(None, 0.1, "inconclusive", "why", "no_face"))
    assert none.to_dict()["offset_ms"] is None
    assert none.to_dict()["reason_code"] == "no_face"
    lost = Event("lost", "news", detail="nothing came", more={"again_in_s": 2.0}).to_dict()
    assert lost["again_in_s"] == 2.0
    assert "offset_ms" not in lost
