"""Streams that no decoder can read: encrypted ones, and those whose media lie in another file.

FFmpeg opens them like any other, and decodes noise or nothing. Their containers say what they are:
sample entries of MP4 (Common Encryption, ISO/IEC 23001-7; FairPlay), ``ContentEncryption`` of Matroska
and WebM, scrambling bits of MPEG transport (ISO/IEC 13818-1) and programme streams, and the content
encryption object of ASF.
"""

from __future__ import annotations

from typing import BinaryIO

import numpy as np
from av.container import InputContainer

from synctool.errors import MediaError
from synctool.media.boxes import Box, below, boxes, elements, read_at

ELSEWHERE = "elsewhere"
_ENCRYPTED_ENTRIES = {
    b"encv",
    b"enca",
    b"encs",
    b"enct",
    b"encm",
    b"drms",
    b"drmi",
    b"drmt",
    b"drm ",
}
_SCHEMES = {
    **dict.fromkeys((b"cenc", b"cens", b"cbc1", b"cbcs"), "Common Encryption"),
    b"piff": "PlayReady",
    b"itun": "FairPlay",
    b"odkm": "OMA DRM",
    b"adkm": "Adobe Access",
}
_KINDS = {b"vide": "video", b"soun": "audio"}
_SEGMENT, _TRACKS, _TRACK = b"\x18\x53\x80\x67", b"\x16\x54\xae\x6b", b"\xae"
_TRACK_TYPE, _ENCODINGS, _ENCODING, _ENCRYPTION = b"\x83", b"\x6d\x80", b"\x62\x40", b"\x50\x35"
_MATROSKA_KINDS = {1: "video", 2: "audio"}
_ASF_ENCRYPTION = (
    bytes.fromhex("fbb3112223bdd211b4b700a0c955fc6e"),
    bytes.fromhex("14e68a292226174cb935dae07ee9289c"),  # its extended form
)
_TS_STEPS = (188, 192, 204)
_SCANNED_BYTES = 2 << 20
_ASF_BYTES = 1 << 16


def undecodable_streams(
    container: InputContainer, file: BinaryIO, size_bytes: int
) -> dict[int, str]:
    """The streams that cannot be decoded, whatever decoder there is.

    Args:
        container: The open video.
        file: The same bytes, seekable; the first megabytes do.
        size_bytes: Their number.

    Returns:
        Why, by index of the stream: the name of the protection, or ``ELSEWHERE``.
    """
    names = set(container.format.name.split(","))
    if "mp4" in names:
        return _of_order(container, _in_boxes(file, size_bytes))
    if "matroska" in names:
        return _of_order(container, _in_elements(file, size_bytes))
    if "mpegts" in names:
        scrambled = _scrambled_pids(_bytes_of(file, _SCANNED_BYTES))
        return {s.index: "scrambled" for s in container.streams if s.id in scrambled}
    if "mpeg" in names and _scrambled_programme(_bytes_of(file, _SCANNED_BYTES)):
        return {s.index: "scrambled, as on a DVD" for s in container.streams}
    if "asf" in names and any(mark in _bytes_of(file, _ASF_BYTES) for mark in _ASF_ENCRYPTION):
        return {s.index: "Windows Media DRM" for s in container.streams}
    return {}


def undecodable_error(name: str, kind: str, why: str) -> MediaError:
    """The error for a stream that is needed and cannot be decoded.

    Args:
        name: Of the file, safe to print.
        kind: ``video`` or ``audio``.
        why: What ``undecodable_streams`` gives.
    """
    if why == ELSEWHERE:
        return MediaError(
            f"the {kind} of {name} lies in another file, to which this one only refers",
            remedy="Export it as one self-contained file, and give that.",
        )
    return MediaError(
        f"the {kind} of {name} is encrypted ({why})",
        remedy="Give a copy without encryption: decrypt it with its key, or in the program it was made for.",
    )


def lacks_index(file: BinaryIO, size_bytes: int) -> bool:
    """Whether this is an MP4 or MOV without the index (``moov``) that is written last."""
    kinds = {box.kind for box in boxes(file, 0, size_bytes)}
    return bool(kinds & {b"ftyp", b"mdat"}) and not kinds & {b"moov", b"moof"}


def _of_order(container: InputContainer, found: dict[str, list[str]]) -> dict[int, str]:
    """Reasons by index of the stream, from reasons by kind and order in the file."""
    by_kind = {"video": container.streams.video, "audio": container.streams.audio}
    return {
        stream.index: why
        for kind, streams in by_kind.items()
        for stream, why in zip(streams, found[kind])
        if why
    }


# ------------------------------------------------------------------ MP4 and MOV


def _in_boxes(file: BinaryIO, size_bytes: int) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {"video": [], "audio": []}
    moov = next((b for b in boxes(file, 0, size_bytes) if b.kind == b"moov"), None)
    for track in below(file, moov, b"trak") if moov else ():
        handler = next(below(file, track, b"mdia", b"hdlr"), None)
        kind = _KINDS.get(read_at(file, handler.start + 8, 4)) if handler else None
        if kind is not None:
            found[kind].append(_protection(file, track) or _elsewhere(file, track))
    return found


def _protection(file: BinaryIO, track: Box) -> str:
    for table in below(file, track, b"mdia", b"minf", b"stbl", b"stsd"):
        for entry in boxes(file, table.start + 8, table.end):
            if entry.kind in _ENCRYPTED_ENTRIES:
                return _scheme(file, entry)
    return ""


def _scheme(file: BinaryIO, entry: Box) -> str:
    if entry.kind.startswith(b"drm"):
        return "FairPlay"
    content = read_at(file, entry.start, entry.end - entry.start)
    at = content.find(b"schm")
    scheme = content[at + 8 : at + 12] if at >= 0 else b""
    return _SCHEMES.get(scheme, "Common Encryption")


def _elsewhere(file: BinaryIO, track: Box) -> str:
    """``ELSEWHERE`` if all data references of a track lead out of the file."""
    for table in below(file, track, b"mdia", b"minf", b"dinf", b"dref"):
        inside = [
            read_at(file, entry.start + 3, 1)[-1:] == b"\x01"
            or entry.kind not in (b"url ", b"urn ", b"alis")
            for entry in boxes(file, table.start + 8, table.end)
        ]
        if inside and not any(inside):
            return ELSEWHERE
    return ""


# ------------------------------------------------------------------ Matroska and WebM


def _in_elements(file: BinaryIO, size_bytes: int) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {"video": [], "audio": []}
    for segment in elements(file, 0, size_bytes):
        if segment.kind != _SEGMENT:
            continue
        for part in elements(file, segment.start, segment.end):
            if part.kind == _TRACKS:
                for track in elements(file, part.start, part.end):
                    if track.kind == _TRACK:
                        _see_track(file, track, found)
                return found
    return found


def _see_track(file: BinaryIO, track: Box, found: dict[str, list[str]]) -> None:
    parts = {part.kind: part for part in elements(file, track.start, track.end)}
    if _TRACK_TYPE not in parts:
        return
    number = int.from_bytes(read_at(file, parts[_TRACK_TYPE].start, 1), "big")
    kind = _MATROSKA_KINDS.get(number)
    if kind is None:
        return
    encodings = parts.get(_ENCODINGS)
    encrypted = encodings is not None and any(
        inner.kind == _ENCRYPTION
        for encoding in elements(file, encodings.start, encodings.end)
        if encoding.kind == _ENCODING
        for inner in elements(file, encoding.start, encoding.end)
    )
    found[kind].append("Matroska's or WebM's encryption" if encrypted else "")


# ------------------------------------------------------------------ MPEG streams


def _scrambled_pids(data: bytes) -> set[int]:
    """PIDs of which most packets with a payload are scrambled."""
    start, step = _packets(data)
    if not step:
        return set()
    count = (len(data) - start) // step
    heads = np.frombuffer(data, np.uint8, count * step, start).reshape(count, step)[:, :4]
    heads = heads[(heads[:, 0] == 0x47) & (heads[:, 3] & 0x10 != 0)].astype(np.int32)
    pids = (heads[:, 1] & 0x1F) << 8 | heads[:, 2]
    scrambled = (heads[:, 3] & 0xC0) != 0
    return {int(pid) for pid in np.unique(pids) if scrambled[pids == pid].mean() > 0.5}


def _packets(data: bytes) -> tuple[int, int]:
    """Where the first packet lies, and the step to the next; a step of 0 if there are none."""
    for step in _TS_STEPS:
        for start in range(min(step, len(data))):
            marks = data[start : start + 5 * step : step]
            if len(marks) >= 2 and set(marks) == {0x47}:
                return start, step
    return 0, 0


def _scrambled_programme(data: bytes) -> bool:
    """Whether most packets of video or AC-3 in a programme stream are scrambled."""
    seen = scrambled = 0
    at = data.find(b"\0\0\1")
    while 0 <= at < len(data) - 6:
        if data[at + 3] in (0xE0, 0xBD) and data[at + 6] & 0xC0 == 0x80:
            seen += 1
            scrambled += bool(data[at + 6] & 0x30)
        at = data.find(b"\0\0\1", at + 3)
    return scrambled * 2 > seen


def _bytes_of(file: BinaryIO, count: int) -> bytes:
    file.seek(0)
    return file.read(count)
