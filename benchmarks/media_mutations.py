"""Short video files in several containers, and ways to damage them: for ``mutated_media``.

Each container's own units are known as far as the damage needs them: RIFF chunks, ISO boxes, EBML elements,
FLV tags, packs and transport packets can be moved, repeated and removed whole, and header fields can be told
from media data.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av

from synctool.types import AUDIO_HZ, VIDEO_FPS

Unit = tuple[int, int]
"""First byte of a unit of the container, and the one after its last."""
_TS_BYTES = 188
_FIELDS = 30
"""So many bytes from a TS packet's start are taken for headers (PES, PAT and PMT)."""
_FRAGMENTED = {"movflags": "frag_keyframe+empty_moov", "frag_duration": "300000"}
_NESTED_BOXES = {b"moov", b"trak", b"mdia", b"minf", b"stbl", b"moof", b"traf", b"mvex", b"edts"}
_NESTED_ELEMENTS = {0x18538067, 0x1F43B675}  # Segment and Cluster
_CLUSTER = 0x1F43B675


@dataclass(frozen=True)
class Base:
    """A good file to begin with.

    Attributes:
        name: Of the kind of file.
        ending: Of its name; it tells the units too.
        video: Name of the video encoder.
        audio: Name of the audio encoder.
        options: Of the muxer.
    """

    name: str
    ending: str
    video: str = "libx264"
    audio: str = "aac"
    options: tuple[tuple[str, str], ...] = ()


BASES = (
    Base("AVI", ".avi", "mpeg4", "pcm_s16le"),
    Base("MP4, edit lists", ".mp4"),
    Base("MOV, fragments", ".mov", options=tuple(_FRAGMENTED.items())),
    Base("MOV, fragments, PCM", ".mov", "mpeg4", "pcm_s16le", tuple(_FRAGMENTED.items())),
    Base("Matroska", ".mkv"),
    Base("transport stream", ".ts"),
    Base("WebM", ".webm", "libvpx", "libopus"),
    Base("FLV", ".flv", "flv", "aac"),
    Base("program stream", ".mpg", "mpeg2video", "mp2"),
)


def make_base(base: Base, video: Path, path: Path, *, seconds: float) -> None:
    """Encode the beginning of a video anew.

    Args:
        base: Container and codecs.
        video: What is read; 25 frames a second.
        path: What is written.
        seconds: How much of it.
    """
    with av.open(str(video)) as source, av.open(str(path), "w", options=dict(base.options)) as file:
        shown, heard = source.streams.video[0], source.streams.audio[0]
        images = file.add_stream(base.video, rate=VIDEO_FPS, options={"g": str(VIDEO_FPS)})
        images.width, images.height = shown.width // 2 * 2, shown.height // 2 * 2
        images.pix_fmt, images.bit_rate = "yuv420p", 400_000
        audio = file.add_stream(base.audio, rate=AUDIO_HZ, layout="mono")
        samples = av.Codec(base.audio, "w").audio_formats[0].name
        mono = av.AudioResampler(samples, "mono", AUDIO_HZ)
        packets: list[av.Packet] = []
        count = 0
        for frame in source.decode(shown, heard):
            if isinstance(frame, av.AudioFrame):
                if frame.time is None or frame.time < seconds:
                    packets += [p for part in mono.resample(frame) for p in audio.encode(part)]
            elif count < seconds * VIDEO_FPS:
                frame = frame.reformat(images.width, images.height, "yuv420p")
                frame.pts, frame.time_base, frame.pict_type = count, Fraction(1, VIDEO_FPS), 0
                packets += images.encode(frame)
                count += 1
        packets += [*images.encode(None), *audio.encode(None)]
        for packet in sorted(packets, key=lambda p: float(p.dts * p.time_base)):
            file.mux(packet)


# --------------------------------------------------------------------------- units and fields


def units(data: bytes, ending: str) -> list[list[Unit]]:
    """The container's units, in groups of siblings of more than one."""
    if ending == ".ts":
        found = [[(at, at + _TS_BYTES) for at in range(0, len(data) - _TS_BYTES + 1, _TS_BYTES)]]
    else:
        walk = _WALKS.get(ending, _boxes)
        found = list(walk(data, 0, len(data)))
    return [group for group in found if len(group) > 1]


def header_bytes(data: bytes, ending: str) -> list[Unit]:
    """Where fields of headers lie, and tables of samples."""
    if ending == ".ts":
        return [(at, at + _FIELDS) for at in range(0, len(data) - _TS_BYTES, _TS_BYTES)]
    if ending == ".avi":
        index = data.rfind(b"idx1")
        return [(0, data.find(b"movi")), (index, len(data))]
    if ending in (".flv", ".mpg"):
        found = [start for group in units(data, ending) for start, _ in group]
        return [(at, min(at + _FIELDS, len(data))) for at in (0, *found)]
    if ending in (".mkv", ".webm"):
        first = data.find(_CLUSTER.to_bytes(4, "big"))
        blocks = [(s, s + 8) for group in _elements(data, 0, len(data)) for s, _ in group]
        return [(0, first), *(unit for unit in blocks if unit[0] >= first)]
    boxes = [unit for group in _boxes(data, 0, len(data)) for unit in group]
    return [(s, e) for s, e in boxes if data[s + 4 : s + 8] not in _NESTED_BOXES | {b"mdat"}]


def _boxes(data: bytes, start: int, end: int) -> Iterator[list[Unit]]:
    own = []
    while start + 8 <= end:
        size = int.from_bytes(data[start : start + 4], "big")
        if not 8 <= size <= end - start:
            break
        own.append((start, start + size))
        if data[start + 4 : start + 8] in _NESTED_BOXES:
            yield from _boxes(data, start + 8, start + size)
        start += size
    yield own


def _chunks(data: bytes, start: int, end: int) -> Iterator[list[Unit]]:
    own = []
    while start + 8 <= end:
        size = int.from_bytes(data[start + 4 : start + 8], "little")
        stop = min(start + 8 + size + size % 2, end)
        own.append((start, stop))
        if data[start : start + 4] in (b"RIFF", b"LIST"):
            yield from _chunks(data, start + 12, stop)
        start = stop
    yield own


def _elements(data: bytes, start: int, end: int) -> Iterator[list[Unit]]:
    own = []
    while start < end and data[start]:
        name, after = _number(data, start, keep=True)
        if after >= end or not data[after]:
            break
        size, content = _number(data, after, keep=False)
        stop = content + size
        if stop > end:
            break
        own.append((start, stop))
        if name in _NESTED_ELEMENTS:
            yield from _elements(data, content, stop)
        start = stop
    yield own


def _tags(data: bytes, start: int, end: int) -> Iterator[list[Unit]]:
    own = []
    start += 13  # the file's header, and the size of no tag before it
    while start + 15 <= end:
        stop = start + 15 + int.from_bytes(data[start + 1 : start + 4], "big")
        own.append((start, min(stop, end)))
        start = stop
    yield own


def _packs(data: bytes, start: int, end: int) -> Iterator[list[Unit]]:
    starts = [match.start() for match in re.finditer(b"\x00\x00\x01\xba", data[start:end])]
    yield list(zip(starts, [*starts[1:], end]))


_WALKS = {".avi": _chunks, ".mkv": _elements, ".webm": _elements, ".flv": _tags, ".mpg": _packs}


def _number(data: bytes, at: int, *, keep: bool) -> tuple[int, int]:
    """An EBML number of variable length and where it ends; with its mark if kept."""
    length = 9 - data[at].bit_length()
    value = int.from_bytes(data[at : at + length], "big")
    return value if keep else value & ~(1 << 7 * length), at + length


# --------------------------------------------------------------------------- damage


def _flipped(data: bytearray, ending: str, chance: random.Random) -> None:
    for _ in range(chance.choice((1, 4, 16, 64))):
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)


def _truncated(data: bytearray, ending: str, chance: random.Random) -> None:
    del data[chance.randrange(len(data)) :]


def _moved(data: bytearray, ending: str, chance: random.Random) -> None:
    group, unit, taken = _units_of_chance(data, ending, chance)
    place = chance.choice([start for start, _ in group if not unit[0] <= start < unit[1]] or [0])
    del data[unit[0] : unit[1]]
    if place >= unit[1]:
        place -= unit[1] - unit[0]
    data[place:place] = taken


def _repeated(data: bytearray, ending: str, chance: random.Random) -> None:
    _, unit, taken = _units_of_chance(data, ending, chance)
    data[unit[1] : unit[1]] = taken * chance.choice((1, 1, 3))


def _removed(data: bytearray, ending: str, chance: random.Random) -> None:
    _, unit, _ = _units_of_chance(data, ending, chance)
    del data[unit[0] : unit[1]]


def _units_of_chance(
    data: bytearray, ending: str, chance: random.Random
) -> tuple[list[Unit], Unit, bytes]:
    """Some units beside each other: all their siblings, where they lie, their bytes."""
    group = chance.choice(units(bytes(data), ending))
    first = chance.randrange(len(group))
    last = min(first + chance.choice((1, 1, 4, 16)), len(group)) - 1
    unit = group[first][0], group[last][1]
    return group, unit, bytes(data[unit[0] : unit[1]])


def _field(data: bytearray, ending: str, chance: random.Random) -> None:
    """One number of a header, of the size and the order of bytes of the container."""
    start, end = chance.choice(header_bytes(bytes(data), ending))
    size = chance.choice((1, 2, 4, 4, 8))
    start += chance.randrange(max(1, end - start - size))
    order = "little" if ending == ".avi" else "big"
    old = int.from_bytes(data[start : start + size], order)
    largest = 256**size - 1
    values = (0, 1, largest, largest // 2, old + 1, old - 1, 2 * old, old // 2)
    value = chance.choice((*values, chance.randrange(largest + 1))) % (largest + 1)
    data[start : start + size] = value.to_bytes(size, order)


def _zeroed(data: bytearray, ending: str, chance: random.Random) -> None:
    start = chance.randrange(len(data))
    size = min(chance.choice((4, 64, 1024, 16384)), len(data) - start)
    data[start : start + size] = bytes(size)


def _inserted(data: bytearray, ending: str, chance: random.Random) -> None:
    at = chance.randrange(len(data))
    data[at:at] = chance.randbytes(chance.choice((1, 16, 188, 4096)))


MUTATIONS: dict[str, Callable[[bytearray, str, random.Random], None]] = {
    "bits flipped": _flipped,
    "truncated": _truncated,
    "units moved": _moved,
    "units repeated": _repeated,
    "units removed": _removed,
    "header field changed": _field,
    "zeroed": _zeroed,
    "garbage inserted": _inserted,
}
"""Each changes the bytes of a file with this ending where they are."""
