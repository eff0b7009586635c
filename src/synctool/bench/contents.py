"""The fixed contents of the bench: faces, offsets, lengths, degradations. Nothing is drawn by chance.

Faces and voices of the seeds from 2000 on belong to the bench: nothing may be trained on them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import cycle, islice

from synctool.bench.items import Item
from synctool.comparison.degradations.table import degradation
from synctool.synthetic.scene import OffsetAt, Scene
from synctool.synthetic.video import Timing

FIRST_SEED = 2000
OFFSETS_MS = (
    *(0.0, 170.0, -80.0, 233.3, -320.0, 25.0, -150.0, 400.0),
    *(-33.3, 120.0, -250.0, 55.0, -380.0, 300.0, -12.5, 200.0),
    *(-215.0, 40.0, -100.0, 340.0, -60.0, 93.3, -280.0, 12.5),
    *(-185.0, 270.0, -40.0, 140.0, -350.0, 75.0, -125.0, 375.0),
)
"""Within 400 ms, so that a window has its 31 candidates inside the searched range."""
SHORT_S = (2.0, 3.0, 6.0)
SHORT_OFFSETS_MS = (160.0, -120.0, 66.7, -240.0, 320.0, -45.0, 110.0, -300.0)
DRIFTS_MS_PER_MIN = (200.0, -200.0, 350.0, -350.0, 500.0, -500.0, 100.0, -100.0)
DRIFT_OFFSETS_MS = (120.0, -160.0, -80.0, 240.0, 0.0, 90.0, -200.0, 50.0)
FACES_OFFSETS_MS = (-140.0, 200.0, 60.0, -280.0, 130.0, -90.0, 310.0, -20.0)
TIMING_OFFSETS_MS = (180.0, -110.0, 73.3, -260.0)
DEGRADED_OFFSETS_MS = (160.0, -80.0, -200.0, 126.7)
DEGRADED = (
    *("noise", "babble", "music", "reverb", "clipping", "aac"),
    *("h264", "resolution", "blur", "low-light", "dropped", "duplicated"),
)
LEVELS = (2, 4)
FOREIGN, SILENT = 16, 4
LONG_S, SPEED_S, QUICK_SPEED_S = 12.0, 30.0, 10.0
"""Lengths of the parts drift and faces, and of the part speed."""
_GAPS_S = (1 / 25, 1 / 30, 1 / 15, 1 / 50, 1 / 24, 1 / 20, 1 / 60, 1 / 30)
"""Of a variable frame rate, over and over."""
_QUICK = {
    "offsets": 5,
    "short": 8,
    "drift": 4,
    "faces": 8,
    "timing": 5,
    "degraded": 19,
    "foreign": 6,
}
"""Every how many-th item of a part ``--quick`` takes; steps that fall on different groups."""


def generated(*, quick: bool = False) -> list[Item]:
    """All generated items, in the order of the parts; with ``quick`` a fixed sample of them."""
    if quick:
        every_item, kept = list(_all()), []
        for name, every in _QUICK.items():
            kept += [item for item in every_item if item.part == name][::every]
        return [*kept, _speed(QUICK_SPEED_S)]
    return [*_all(), _speed(SPEED_S)]


def _all() -> Iterator[Item]:
    yield from _offsets()
    yield from _short()
    yield from _drift()
    yield from _faces()
    yield from _timing()
    yield from _degraded()
    yield from _foreign()


def _scene(number: int, offset_ms: float, duration_s: float = 6.0, **more) -> Scene:
    offsets = (OffsetAt(0.0, offset_ms),)
    return Scene(
        **{"duration_s": duration_s, "offsets": offsets, "seed": FIRST_SEED + number, **more}
    )


def _offsets() -> Iterator[Item]:
    for number, offset_ms in enumerate(OFFSETS_MS):
        face = number % 16
        yield Item(
            f"offsets/{face:02d}{offset_ms:+g}",
            "offsets",
            "fractional" if offset_ms % 40 else "whole frames",
            _scene(face, offset_ms),
            truth_ms=offset_ms,
        )


def _short() -> Iterator[Item]:
    for number, offset_ms in enumerate(SHORT_OFFSETS_MS):
        for seconds in SHORT_S:
            scene = _scene(20 + number, offset_ms, seconds)
            name = f"short/{number:02d}-{seconds:g}s"
            yield Item(name, "short", f"{seconds:g} s", scene, truth_ms=offset_ms)


def _drift() -> Iterator[Item]:
    for number, (drift, middle_ms) in enumerate(zip(DRIFTS_MS_PER_MIN, DRIFT_OFFSETS_MS)):
        start_ms = middle_ms - drift * LONG_S / 2 / 60
        scene = _scene(30 + number, 0.0, LONG_S, offsets=(OffsetAt(0.0, start_ms, drift),))
        name = f"drift/{number:02d}{drift:+g}"
        yield Item(name, "drift", "", scene, truth_ms=middle_ms, drift_ms_per_min=drift)


def _faces() -> Iterator[Item]:
    for number, offset_ms in enumerate(FACES_OFFSETS_MS):
        scene = _scene(40 + 2 * number, offset_ms, LONG_S, faces=2)
        yield Item(f"faces/{number:02d}", "faces", "", scene, truth_ms=offset_ms)


def _timing() -> Iterator[Item]:
    kinds: Sequence[tuple[str, Timing, str]] = (
        ("23.976 fps", Timing(fps=24000 / 1001), ".mp4"),
        ("30 fps", Timing(fps=30.0), ".mp4"),
        ("50 fps", Timing(fps=50.0), ".mp4"),
        ("variable rate", Timing(times_s=_variable(6.0)), ".mp4"),
        ("video begins late", Timing(video_start_s=0.4), ".mkv"),
        ("audio begins late", Timing(audio_start_s=0.3), ".mkv"),
    )
    for number, offset_ms in enumerate(TIMING_OFFSETS_MS):
        for place, (name, timing, suffix) in enumerate(kinds):
            scene = _scene(60 + number, offset_ms)
            item = f"timing/{number:02d}-{place}"
            yield Item(item, "timing", name, scene, timing, suffix, truth_ms=offset_ms)


def _variable(seconds: float) -> tuple[float, ...]:
    times, at = [], 0.0
    for gap in islice(cycle(_GAPS_S), 10_000):
        if at >= seconds:
            break
        times.append(round(at, 6))
        at += gap
    return tuple(times)


def _degraded() -> Iterator[Item]:
    for number, offset_ms in enumerate(DEGRADED_OFFSETS_MS):
        for name in DEGRADED:
            for level in LEVELS:
                row = degradation(name)
                yield Item(
                    f"degraded/{number:02d}-{name}-{level}",
                    "degraded",
                    f"{name} {row.value(level):g} {row.unit}",
                    _scene(70 + number, offset_ms),
                    truth_ms=offset_ms,
                    degradation=(name, level),
                )


def _foreign() -> Iterator[Item]:
    for number in range(FOREIGN):
        seen, heard = _scene(80 + number, 0.0), _scene(80 + (number + 1) % FOREIGN, 0.0)
        yield Item(f"foreign/{number:02d}", "foreign", "another voice", seen, voice=heard)
    for number in range(SILENT):
        scene = _scene(100 + number, 0.0)
        yield Item(f"foreign/silent-{number:02d}", "foreign", "silence", scene, silent=True)


def _speed(seconds: float) -> Item:
    return Item("speed/00", "speed", "", _scene(110, 80.0, seconds), truth_ms=80.0)
