"""Transport streams whose streams change on the way are read to their end, as a player shows them."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from synctool.media.transport import Programme, TransportScanner, UnitStart, later_s
from synctool.media.video_file import VideoFile
from transport_streams import (
    H264,
    MPEG2,
    PACKET,
    PMT_PID,
    interleaved,
    packets,
    part,
    pat,
    pmt,
    with_tables,
)
from videos import CLICKS_S, Audio, Video, find_clicks, make_video, read_time_ms

pytestmark = pytest.mark.integration

A, B, C = (0x100, 0x101), (0x200, 0x201), (0x300, 0x301)
SECOND_PMT = 0x1100
AAC, AC3 = Audio("aac"), Audio("ac3")
SPARSE = Audio("aac", rate=16_000, layout="mono")
FIRST, OTHER = [(0x1B, A[0]), (3, A[1])], [(0x1B, B[0]), (3, B[1])]
ONE_TABLE = [pat({1: PMT_PID}), pmt(PMT_PID, 1, FIRST + OTHER)]
TWO_TABLES = [pat({1: PMT_PID, 2: SECOND_PMT}), pmt(PMT_PID, 1, FIRST), pmt(SECOND_PMT, 2, OTHER)]
Part = Callable[..., bytes]


@dataclass
class Seen:
    """What came of a file: per tick the time that its frame spells (ms), and clicks (s)."""

    times_ms: list[int | None]
    clicks_s: np.ndarray
    video_file: VideoFile

    def assert_complete(self, parts: int, within_ms: float = 41) -> None:
        """Every part of three seconds is there, its frames and clicks at their own times."""
        lead = next(
            frame_index for frame_index, shown in enumerate(self.times_ms) if shown is not None
        )
        lead_ms = 40 * lead - self.times_ms[lead]
        assert len(self.times_ms) == pytest.approx(75 * parts + lead, abs=2)
        late_ms = [
            40 * frame_index - shown - lead_ms
            for frame_index, shown in enumerate(self.times_ms)
            if shown is not None
        ]
        assert np.abs(late_ms).max() <= within_ms
        wanted = np.concatenate([np.array(CLICKS_S) + 3.0 * n for n in range(parts)])
        assert len(self.clicks_s) == len(wanted)
        apart = self.clicks_s - wanted - lead_ms / 1000
        assert np.ptp(apart) < 0.025  # what encoders put before the first sample overlaps


def see(path: Path) -> Seen:
    with VideoFile(path) as video_file:
        times = [read_time_ms(image.luma) for image in video_file]
        return Seen(
            times, np.array(find_clicks(video_file.audio.pop(video_file.audio.end))), video_file
        )


CHANGES: dict[str, tuple[int, Callable[[Part], bytes]]] = {
    "one table lists both pairs": (
        2, lambda p: with_tables(p(0) + p(1, pids=B), ONE_TABLE, of=[PMT_PID]),
    ),
    "two programmes are listed, one after the other on air": (
        2, lambda p: with_tables(p(0) + p(1, pids=B), TWO_TABLES, of=[PMT_PID]),
    ),
    "the table changes, and back": (3, lambda p: p(0) + p(1, pids=B) + p(2)),
    "both are listed, and back": (
        3, lambda p: with_tables(p(0) + p(1, pids=B) + p(2), TWO_TABLES, of=[PMT_PID]),
    ),
    "another codec in between": (3, lambda p: p(0) + p(1, pids=B, video=MPEG2) + p(2)),
    "three pairs, and back": (4, lambda p: p(0) + p(1, pids=B) + p(2, pids=C) + p(3)),
    "another programme": (2, lambda p: p(0) + p(1, pids=B, pmt_pid=SECOND_PMT, service=2)),
    "the video alone changes": (2, lambda p: p(0) + p(1, pids=(B[0], A[1]))),
    "the audio alone changes": (2, lambda p: p(0) + p(1, pids=(A[0], B[1]))),
    "both codecs change on the same PIDs": (
        2, lambda p: p(0, audio=AAC) + p(1, video=MPEG2),
    ),
    "both codecs change back": (2, lambda p: p(0, video=MPEG2) + p(1, audio=AAC)),
    "the video's codec changes": (2, lambda p: p(0) + p(1, video=MPEG2)),
    "the audio's codec changes to AC-3": (2, lambda p: p(0) + p(1, audio=AC3)),
    "the audio's codec changes to AAC": (2, lambda p: p(0) + p(1, audio=AAC)),
    "the audio's rate and channels change": (
        2, lambda p: p(0) + p(1, audio=Audio("mp2", rate=44_100, layout="mono")),
    ),
    "the rate and channels of AAC change": (
        2, lambda p: p(0, audio=AAC) + p(1, audio=Audio("aac", rate=32_000, layout="mono")),
    ),
    "units of audio come seldom": (
        3, lambda p: p(0, audio=SPARSE) + p(1, pids=B, audio=SPARSE) + p(2, audio=SPARSE),
    ),
    "the frame size changes": (2, lambda p: p(0) + p(1, video=replace(H264, size=(320, 192)))),
}  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
def test_a_stream_that_changes_is_read_to_its_end(tmp_path, change):
    parts, make = CHANGES[change]
    path = tmp_path / "a.ts"
    path.write_bytes(make(partial(part, tmp_path)))
    see(path).assert_complete(parts)


@pytest.mark.parametrize("prefix", [4, 0])
def test_packets_of_192_and_204_bytes_too(tmp_path, prefix):
    make = partial(part, tmp_path)
    data = make(0) + make(1, pids=B) + make(2, video=MPEG2)
    wrapped = (bytes(prefix) + packet + bytes(0 if prefix else 16) for packet in packets(data))
    path = tmp_path / ("a.m2ts" if prefix else "a.ts")
    path.write_bytes(b"".join(wrapped))
    see(path).assert_complete(3)


def test_timestamps_that_begin_anew_with_other_pids(tmp_path):
    make = partial(part, tmp_path)
    path = tmp_path / "a.ts"
    path.write_bytes(make(0) + make(1, pids=B, restart=True) + make(2, restart=True))
    see(path).assert_complete(3, within_ms=81)


def test_a_programme_beside_the_measured_one_stays_where_it_is(tmp_path):
    make = partial(part, tmp_path)
    both = interleaved(make(0) + make(1), make(0, pids=B) + make(1, pids=B))
    path = tmp_path / "a.ts"
    path.write_bytes(with_tables(both, TWO_TABLES, of=[PMT_PID]))
    seen = see(path)
    seen.assert_complete(2)
    assert seen.video_file.warnings == []


def test_a_pause_is_not_filled_from_a_programme_that_has_been_there_all_along(tmp_path):
    make = partial(part, tmp_path)
    begin, end = (interleaved(make(n), make(n, pids=B)) for n in (0, 2))
    path = tmp_path / "a.ts"
    path.write_bytes(with_tables(begin + make(1, pids=B) + end, TWO_TABLES, of=[PMT_PID]))
    seen = see(path)
    shown = {t // 3000 for t in seen.times_ms if t is not None}
    assert shown == {0, 2} and len(seen.times_ms) == pytest.approx(226, abs=1)


def test_another_programme_that_goes_on_alone_is_told(tmp_path):
    make = partial(part, tmp_path)
    data = interleaved(make(0), make(0, pids=B)) + make(1, pids=B)
    path = tmp_path / "a.ts"
    path.write_bytes(with_tables(data, TWO_TABLES, of=[PMT_PID]))
    seen = see(path)
    assert len(seen.times_ms) == pytest.approx(76, abs=1)
    assert any("another programme goes on for 3.0 s" in text for text in seen.video_file.warnings)


def test_damage_at_the_change_does_no_more_harm_than_anywhere(tmp_path):
    make = partial(part, tmp_path)
    data = make(0) + b"\x47\x01noise" * 41 + make(1, pids=B)
    path = tmp_path / "a.ts"
    path.write_bytes(data[: len(data) // 3] + data[len(data) // 3 + 77 :])
    seen = see(path)
    shown = [t for t in seen.times_ms if t is not None]
    assert sum(t < 3000 for t in shown) > 60 and sum(t >= 3000 for t in shown) == pytest.approx(
        75, abs=2
    )


def test_tables_over_several_packets_are_read():
    many = [(0x1B, 0x100), *((0x06, 0x400 + n) for n in range(60))]
    whole = pmt(PMT_PID, 1, many[:30])
    assert len(whole) == PACKET
    section = _long_table(many)
    scanner = TransportScanner(io.BytesIO(pat({1: PMT_PID}) + section + whole * 4))
    tables = [event for event in scanner.to(1 << 20) if isinstance(event, Programme)]
    assert len(tables[0].codings) == 61 and tables[0].codings[0x100] == ("video", 0x1B)
    assert tables[0].position == 0


def test_noise_has_neither_tables_nor_units():
    noise = np.random.default_rng(0).integers(0, 256, 3 << 20, np.uint8).tobytes()
    scanner = TransportScanner(io.BytesIO(noise))
    assert [e for e in scanner.to(len(noise)) if isinstance(e, UnitStart)] == []
    assert scanner.position == len(noise)


def test_times_go_on_where_their_33_bits_begin_anew():
    assert later_s((2**33 - 9000) / 90_000, 0.1) == pytest.approx(0.2)
    assert later_s(5.0, 3.0) == pytest.approx(-2.0)


def _long_table(streams: list[tuple[int, int]]) -> bytes:
    """A table in two packets; its checksum is not looked at."""
    body = bytes([0xE1, 0x00, 0xF0, 0x00])
    for kind, pid in streams:
        body += bytes([kind, 0xE0 | pid >> 8, pid & 0xFF, 0xF0, 0x00])
    length = 5 + len(body) + 4
    section = bytes([2, 0xB0 | length >> 8, length & 0xFF, 0, 1, 0xC1, 0, 0]) + body + bytes(4)
    first = bytes([0x47, 0x40 | PMT_PID >> 8, PMT_PID & 0xFF, 0x10, 0]) + section[:183]
    second = bytes([0x47, PMT_PID >> 8, PMT_PID & 0xFF, 0x11]) + section[183:]
    return first + second.ljust(PACKET, b"\xff")


@pytest.mark.parametrize("codec", ["libx264", "mpeg2video"])
def test_a_pixel_aspect_that_changes_is_heeded_from_its_first_frame_on(tmp_path, codec):
    """The same PIDs and frame size; H.264 with B-frames. Arrays keep square pixels."""
    options = (
        {"preset": "fast", "g": "25", "sc_threshold": "0"}
        if codec == "libx264"
        else {"g": "12", "qmax": "3"}
    )
    aspects = (Fraction(1), Fraction(16, 11))
    if codec == "mpeg2video":  # which knows 4:3 and 16:9 of the whole frame only
        aspects = (Fraction(8, 9), Fraction(32, 27))
    data = b""
    for number, aspect in enumerate((*aspects, aspects[0])):
        start_s = 1.0 + 3.0 * number
        video = Video(codec, start_s=start_s, aspect=aspect, options=options)
        audio = Audio("mp2", start_s=start_s)
        made = make_video(tmp_path / f"{number}.ts", video=video, audio=[audio])
        data += made.read_bytes()
    path = tmp_path / "a.ts"
    path.write_bytes(data)
    with VideoFile(path) as video_file:
        shown = [
            (read_time_ms(p.luma), p.luma.shape, p.scale) for p in video_file if p.luma is not None
        ]
    before = [
        (shape, scale) for time_ms, shape, scale in shown if time_ms < 4000 or time_ms >= 7000
    ]
    after = [(shape, scale) for time_ms, shape, scale in shown if 4000 <= time_ms < 7000]
    wanted = [(round(128 / min(aspect, 1)), round(192 * max(aspect, 1))) for aspect in aspects]
    assert set(before) == {(wanted[0], 1.0)} and len(before) == pytest.approx(150, abs=1)
    assert {shape for shape, _ in after} == {wanted[1]} and len(after) == pytest.approx(75, abs=1)
    assert {scale for _, scale in after} == {wanted[1][1] / wanted[0][1]}
