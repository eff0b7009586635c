"""Streams that FFmpeg serves on the loopback: what is said of them, and what of their faults."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import flicker_models as fakes
import loopback
from flicker import flicker_video
from synctool.errors import MissingError, SyncToolError, UsageError
from synctool.live import rolling
from synctool.live.addresses import LiveAddress, live_address
from synctool.live.alarms import Limits
from synctool.live.events import Event
from synctool.live.measuring import Measuring
from synctool.live.reader import Reading
from synctool.live.watching import Outcome, Watching, watch
from synctool.measure.tracks import build_detector
from synctool.media import stream_opening
from test_live_measuring import Spoken
from videos import Video, make_video

pytestmark = pytest.mark.integration
QUICK = {"silent_s": 1.5, "first_wait_s": 0.3}


@pytest.fixture(autouse=True)
def all_is_speech(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rolling, "VoiceActivity", Spoken)


@pytest.fixture(autouse=True)
def looked_at_briefly(monkeypatch: pytest.MonkeyPatch) -> None:
    """What FFmpeg waits for before it says what is in a stream is time of every test here."""
    monkeypatch.setattr(stream_opening, "PROBE_S", 1.0)


class Watched:
    """Sources watched in a thread, and what was told of them.

    Attributes:
        events: All events, in their order.
        seen_s: When each was told.
        outcomes: What came of the sources, at the end.
    """

    def __init__(
        self,
        *sources: str | LiveAddress,
        limits: Limits | None = None,
        for_s: float = 2.0,
        window_s: float = 4.0,
        **how: object,
    ) -> None:
        self.events: list[Event] = []
        self.seen_s: list[float] = []
        self.outcomes: list[Outcome] = []
        self._stop = threading.Event()
        addresses = [s if isinstance(s, LiveAddress) else live_address(s) for s in sources]
        measuring = Measuring(fakes.grey(), build_detector("whole"), window_s=window_s)
        reading = Reading(**{**QUICK, **how})  # type: ignore[arg-type]
        watching = Watching(measuring, reading, limits=limits, for_s=for_s)

        def run() -> None:
            self.outcomes = watch(addresses, watching, self._add, stop=self._stop)

        self._thread = threading.Thread(target=run, daemon=True)

    def __enter__(self) -> Watched:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(20)
        assert not self._thread.is_alive()

    def _add(self, event: Event) -> None:
        self.events.append(event)
        self.seen_s.append(time.monotonic())

    def wait_for(
        self, wanted: Callable[[Event], bool], *, within_s: float = 60.0, after: int = 0
    ) -> int:
        """Number of the first event that is wanted."""
        until = time.monotonic() + within_s
        while time.monotonic() < until:
            for number, event in enumerate(self.events[after:], after):
                if wanted(event):
                    return number
            time.sleep(0.05)
        raise AssertionError(f"not told: {[(e.kind, e.detail) for e in self.events[-20:]]}")

    def ended(self, within_s: float = 25.0) -> list[Outcome]:
        """Wait until all sources have ended."""
        self._thread.join(within_s)
        assert not self._thread.is_alive()
        return self.outcomes

    def kinds(self) -> list[str]:
        return [event.kind for event in self.events if event.kind != "answer"]


def offset_near(ms: float) -> Callable[[Event], bool]:
    def near(event: Event) -> bool:
        answer = event.answer
        return (
            event.kind == "answer"
            and answer is not None
            and answer.offset_ms is not None
            and abs(answer.offset_ms - ms) <= 25
        )

    return near


def test_a_move_over_udp_is_reported_within_four_seconds(tmp_path: Path) -> None:
    """Of 200 ms, after 4 s; the alarm follows, and the loss at the end, and the return."""
    moved_at = 4.0
    video = flicker_video(
        tmp_path / "a.ts",
        seconds=14,
        ahead_frames=lambda t: 5.0 if t >= moved_at else 0.0,
        keyframes_s=0.4,
    )
    port = loopback.free_port()
    with Watched(f"news=udp://127.0.0.1:{port}", limits=Limits.of("100")) as watched:
        time.sleep(0.2)
        with loopback.sent(video, *loopback.udp(port)):
            first = watched.wait_for(offset_near(0))
            moved = watched.wait_for(offset_near(200))
            event = watched.events[moved]
            assert event.delay_s is not None
            # When the first answer was told is known by both clocks.
            sent_s = watched.seen_s[moved] - watched.seen_s[first] + watched.events[first].t_s
            assert event.t_s + event.delay_s - moved_at <= 4.0
            assert sent_s + 1.0 - moved_at <= 4.5  # on a machine that does much else
            watched.wait_for(lambda e: e.kind == "alarm")
        lost = watched.wait_for(lambda e: e.kind == "lost")
        # The return may be joined behind its first keyframe.
        steady = flicker_video(tmp_path / "b.ts", seconds=18, keyframes_s=0.4)
        with loopback.sent(steady, *loopback.udp(port)):
            back = watched.wait_for(lambda e: e.kind == "part", after=lost)
            watched.wait_for(offset_near(0), after=back)
    kinds = watched.kinds()
    assert kinds[:2] == ["start", "part"]
    assert kinds.count("alarm") == 1
    assert watched.outcomes[0].alarms == 1
    answers = [e for e in watched.events if e.kind == "answer"]
    assert [e.t_s for e in answers] == sorted(e.t_s for e in answers)
    assert all((e.delay_s or 0) < 2.0 for e in answers)


def test_a_stream_joined_long_before_its_next_keyframe(tmp_path: Path) -> None:
    """Nothing can be seen before it, which is no loss."""
    video = flicker_video(tmp_path / "a.ts", seconds=12, keyframes_s=4)
    port = loopback.free_port()
    with loopback.sent(video, *loopback.udp(port)):
        time.sleep(0.5)
        with Watched(f"udp://127.0.0.1:{port}") as watched:
            first = watched.wait_for(offset_near(0))
    assert "lost" not in [e.kind for e in watched.events[:first]]
    assert watched.seen_s[first] - watched.seen_s[0] > QUICK["silent_s"]


def test_hls_over_http(tmp_path: Path) -> None:
    video = flicker_video(tmp_path / "a.ts", seconds=12, ahead_frames=-4, keyframes_s=1)
    web = tmp_path / "web"
    web.mkdir()
    hls = ("-f", "hls", "-hls_time", "1", "-hls_list_size", "4", "-hls_flags", "delete_segments")
    with loopback.served(web) as address, loopback.sent(video, *hls, str(web / "live.m3u8")):
        with Watched(f"{address}/live.m3u8") as watched:
            number = watched.wait_for(offset_near(-160))
    assert watched.events[number].source.endswith("/live.m3u8")


def test_rtsp(tmp_path: Path) -> None:
    """Sent to this program, which listens: no server of RTSP is asked for."""
    video = flicker_video(tmp_path / "a.mp4", seconds=12, ahead_frames=3, keyframes_s=1)
    port = loopback.free_port(socket.SOCK_STREAM)
    address = f"rtsp://127.0.0.1:{port}/live"
    listening = (("rtsp_flags", "listen"), ("listen_timeout", "15"))
    with Watched(address, options=listening) as watched:
        time.sleep(0.5)
        with loopback.sent(video, "-f", "rtsp", "-rtsp_transport", "tcp", address):
            watched.wait_for(offset_near(120))


def test_a_source_that_never_comes_is_given_up() -> None:
    port = loopback.free_port()
    with Watched(f"udp://127.0.0.1:{port}", give_up_s=1.5, open_s=0.5) as watched:
        (outcome,) = watched.ended()
    assert isinstance(outcome.error, MissingError)
    kinds = watched.kinds()
    assert kinds[0] == "start" and kinds[-2:] == ["failed", "end"] and "lost" in kinds


def test_rubbish_is_no_video_and_no_traceback(tmp_path: Path) -> None:
    port = loopback.free_port()
    random = np.random.default_rng(0)
    with Watched(f"udp://127.0.0.1:{port}", open_s=2.0) as watched:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as own:
            until = time.monotonic() + 1.5
            while time.monotonic() < until:
                own.sendto(random.bytes(1316), ("127.0.0.1", port))
                time.sleep(0.002)
        lost = watched.wait_for(lambda e: e.kind == "lost")
        video = flicker_video(tmp_path / "a.ts", seconds=12, keyframes_s=0.4)
        with loopback.sent(video, *loopback.udp(port)):
            watched.wait_for(offset_near(0), after=lost)
    assert watched.events[lost].detail


@pytest.mark.parametrize("lacking", ["audio", "video"])
def test_a_stream_that_lacks_one_kind_says_so(tmp_path: Path, lacking: str) -> None:
    video = make_video(
        tmp_path / "a.ts",
        seconds=10,
        video=None if lacking == "video" else Video(),
        **({"audio": ()} if lacking == "audio" else {}),  # type: ignore[arg-type]
    )
    port = loopback.free_port()
    with Watched(f"udp://127.0.0.1:{port}") as watched:
        with loopback.sent(video, *loopback.udp(port)):
            lost = watched.wait_for(lambda e: e.kind == "lost" and lacking in e.detail)
    assert f"no {lacking} track" in watched.events[lost].detail


def test_the_clock_of_33_bits_begins_anew(tmp_path: Path) -> None:
    """In the middle of 8 s: no break, and the offset stays."""
    video = flicker_video(tmp_path / "a.ts", seconds=8, ahead_frames=2)
    wrapping = loopback.remuxed(video, tmp_path / "b.ts", "-output_ts_offset", "95440")
    with Watched(str(wrapping), paced=False) as watched:
        watched.ended()
    answers = [e for e in watched.events if e.kind == "answer" and e.t_s >= 3]
    assert watched.kinds() == ["start", "part", "end"]
    assert len(answers) >= 5
    assert all(offset_near(80)(e) for e in answers)


def test_timestamps_that_break_begin_a_part(tmp_path: Path) -> None:
    """Two encoders, one after the other: other times, another size, another offset."""
    first = flicker_video(tmp_path / "a.ts", seconds=6, ahead_frames=2)
    second = flicker_video(tmp_path / "b.ts", seconds=6, ahead_frames=-3, size=(96, 96))
    second = loopback.remuxed(second, tmp_path / "c.ts", "-output_ts_offset", "5000")
    joined = tmp_path / "joined.ts"
    joined.write_bytes(first.read_bytes() + second.read_bytes())
    with Watched(str(joined), paced=False) as watched:
        (outcome,) = watched.ended()
    assert outcome.error is None
    assert watched.kinds() == ["start", "part", "break", "part", "end"]
    by_part = {
        part: [e for e in watched.events if e.kind == "answer" and e.part == part]
        for part in (0, 1)
    }
    assert all(offset_near(80)(e) for e in by_part[0][2:])
    assert by_part[1] and all(offset_near(-120)(e) for e in by_part[1][2:])


def test_a_file_is_played_at_its_own_speed(tmp_path: Path) -> None:
    video = flicker_video(tmp_path / "a.mp4", seconds=2)
    with Watched(str(video)) as watched:
        began = time.monotonic()
        watched.ended()
        took_s = time.monotonic() - began
    assert 1.6 <= took_s <= 10.0
    assert [e.t_s for e in watched.events if e.kind == "answer"] == [1.0, 2.0]


def test_a_file_that_cannot_be_read_ends_its_source_only(tmp_path: Path) -> None:
    good = flicker_video(tmp_path / "good.mp4", seconds=4)
    bad = tmp_path / "bad.mp4"
    bad.write_bytes(b"no video at all" * 100)
    with Watched(str(good), str(bad), paced=False) as watched:
        outcomes = watched.ended()
    assert outcomes[0].error is None and outcomes[0].answers >= 2
    assert isinstance(outcomes[1].error, SyncToolError)


def test_a_machine_that_is_too_slow_says_so_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from synctool.live import reader, watching

    slow = threading.Event()
    slow.set()
    real = watching.measure_part

    def slowed(*given: object, **more: object):
        for moment in real(*given, **more):  # type: ignore[arg-type]
            while slow.is_set():
                time.sleep(0.05)
            yield moment

    monkeypatch.setattr(watching, "measure_part", slowed)
    monkeypatch.setattr(reader, "_OVERLOAD_S", 0.3)
    monkeypatch.setattr(reader, "QUEUED_FRAMES", 10)
    video = flicker_video(tmp_path / "a.ts", seconds=14, keyframes_s=0.4)
    port = loopback.free_port()
    with Watched(f"udp://127.0.0.1:{port}") as watched:
        time.sleep(0.3)
        with loopback.sent(video, *loopback.udp(port)):
            watched.wait_for(lambda e: e.kind == "part")
            time.sleep(2.0)
            slow.clear()
            number = watched.wait_for(lambda e: e.kind == "overload")
            watched.wait_for(lambda e: e.kind == "answer", after=number)


def test_what_this_ffmpeg_does_not_know_is_told(tmp_path: Path) -> None:
    with Watched("srt://127.0.0.1:9") as watched:
        (outcome,) = watched.ended()
    if outcome.error is not None and not isinstance(outcome.error, MissingError):
        assert isinstance(outcome.error, UsageError)
        assert "synctool live -" in (outcome.error.remedy or "")
