"""Transport streams that change on the way, of parts whose frames and clicks tell their time."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import av

from videos import Audio, Video, make_video

PACKET = 188
PART_S = 3.0
PMT_PID = 0x1000
H264 = Video(options={"preset": "ultrafast", "g": "25"})
MPEG2 = Video("mpeg2video", options={"g": "12", "qmax": "3"})
MP2 = Audio("mp2")


def part(
    path: Path,
    number: int,
    *,
    pids: tuple[int | None, int | None] = (0x100, 0x101),
    pmt_pid: int = PMT_PID,
    service: int = 1,
    video: Video = H264,
    audio: Audio = MP2,
    restart: bool = False,
    seconds: float = PART_S,
) -> bytes:
    """One part of a transport stream: three seconds that begin at ``3 * number`` s.

    Args:
        path: Folder for what is needed on the way.
        number: Which part.
        pids: Of video and audio; None leaves that stream out.
        pmt_pid: Of its programme's table.
        service: Number of its programme.
        video: How frames are coded.
        audio: How audio is coded.
        restart: Whether its timestamps begin at 0 again; its frames spell the time of the whole.
        seconds: Its length.
    """
    start_s = PART_S * number
    video, audio = replace(video, start_s=start_s), replace(audio, start_s=start_s)
    made = make_video(path / f"made{number}.mkv", seconds=seconds, video=video, audio=[audio])
    target = path / f"part{number}.ts"
    options = {"mpegts_pmt_start_pid": str(pmt_pid), "mpegts_service_id": str(service)}
    with av.open(str(made)) as old, av.open(str(target), "w", "mpegts", options=options) as new:
        streams = {}
        for stream, pid in zip(old.streams, pids):
            if pid is not None:
                streams[stream.index] = new.add_stream_from_template(stream)
                streams[stream.index].id = pid
        for packet in old.demux(*(old.streams[index] for index in streams)):
            if packet.pts is None:
                continue
            # One second on, or muxers would move what they must not write before 0.
            back = round((start_s if restart else -1.0) / packet.time_base)
            packet.pts -= back
            packet.dts = (packet.dts if packet.dts is not None else packet.pts + back) - back
            packet.stream = streams[packet.stream.index]
            new.mux(packet)
    return target.read_bytes()


def packets(data: bytes) -> list[bytes]:
    """Its packets of 188 bytes."""
    return [data[i : i + PACKET] for i in range(0, len(data), PACKET)]


def pid_of(packet: bytes) -> int:
    """Which stream a packet belongs to."""
    return (packet[1] & 0x1F) << 8 | packet[2]


def section_packet(pid: int, table: int, number: int, body: bytes) -> bytes:
    """A packet with one table."""
    rest = struct.pack(">HBBB", number, 0xC1, 0, 0) + body
    section = struct.pack(">BH", table, 0xB000 | len(rest) + 4) + rest
    section += struct.pack(">I", _crc(section))
    head = struct.pack(">BHB", 0x47, 0x4000 | pid, 0x10) + b"\0"
    return (head + section).ljust(PACKET, b"\xff")


def pat(programmes: dict[int, int]) -> bytes:
    """A table of programmes: PIDs of their tables, by number."""
    entries = (struct.pack(">HH", number, 0xE000 | pid) for number, pid in programmes.items())
    return section_packet(0, 0, 1, b"".join(entries))


def pmt(pid: int, number: int, streams: Sequence[tuple[int, int]]) -> bytes:
    """A table of one programme's streams: their types and PIDs."""
    body = struct.pack(">HH", 0xE000 | streams[0][1], 0xF000)
    body += b"".join(struct.pack(">BHH", kind, 0xE000 | of, 0xF000) for kind, of in streams)
    return section_packet(pid, 2, number, body)


def with_tables(data: bytes, tables: Sequence[bytes], *, of: Sequence[int]) -> bytes:
    """The same packets with other tables in place of theirs, which are on the PIDs ``of`` and 0."""
    out = []
    for packet in packets(data):
        if pid_of(packet) == 0:
            out.extend(tables)
        elif pid_of(packet) not in of:
            out.append(packet)
    return b"".join(out)


def interleaved(*streams: bytes) -> bytes:
    """Packets of several transport streams in turn, each spread evenly over the whole."""
    placed = [
        ((number + 0.5) / len(all_), packet)
        for all_ in map(packets, streams)
        for number, packet in enumerate(all_)
    ]
    return b"".join(packet for _, packet in sorted(placed, key=lambda item: item[0]))


def _crc(data: bytes) -> int:
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte << 24
        for _ in range(8):
            crc = (crc << 1 ^ 0x04C11DB7 if crc & 0x80000000 else crc << 1) & 0xFFFFFFFF
    return crc
