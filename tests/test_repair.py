"""Repairs by a given plan: where the audio lies afterwards, and that all else is what it was."""

from __future__ import annotations

import io
import json
import os
import resource
import shutil
import signal
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import ClassVar

import av
import numpy as np
import pytest

from synctool.cli.app import main
from synctool.errors import (
    InconclusiveError,
    MediaError,
    MissingError,
    OutputError,
    SyncToolError,
    UsageError,
)
from synctool.media.transport_service import TransportService, first_service
from synctool.media.video_file import VideoFile
from synctool.repairing.containers import container_for
from synctool.repairing.edit_list import Edit, Units, moved_edits
from synctool.repairing.fix import fix
from synctool.repairing.plan import OffsetSpan, RepairPlan, plan_repair
from synctool.repairing.resample import MovedSamples
from synctool.repairing.run import repair
from synctool.types import DetectResult, FrameSeries, Segment, Source
from transport_streams import pat, pmt, with_tables
from videos import CLICKS_S, Audio, Video, clicks, find_clicks, lead_ms, make_video, murmur, packets

MILLISECOND = 1.01
"""Timestamps of Matroska are whole milliseconds."""
MPEG4 = Video(codec="mpeg4")
SOURCES = {
    "a.mp4": {"video": Video(options={"bf": "2"})},
    "late.mov": {"audio": [Audio(start_s=0.3)], "video": Video(fps=30)},
    "a.mkv": {"video": Video(options={"bf": "2"})},
    "rate.mkv": {"video": Video(times_s=[i / 50 + (i % 3) / 100 for i in range(149)])},
    "a.webm": {
        "video": Video(codec="libvpx", size=(96, 64)),
        "audio": [Audio(codec="libopus", layout="stereo")],
    },
    "a.ts": {},
    "pcm.avi": {"video": MPEG4, "audio": [Audio(codec="pcm_s16le", layout="stereo")]},
    "mp3.avi": {"video": MPEG4, "audio": [Audio(codec="libmp3lame")]},
    "ac3.avi": {"video": MPEG4, "audio": [Audio(codec="ac3")]},
    "a.wmv": {"video": Video(codec="wmv2"), "audio": [Audio(codec="libmp3lame")]},
    "a.flv": {"video": Video(codec="flv1"), "audio": [Audio(codec="libmp3lame", rate=44_100)]},
}


def ends_s(path: Path) -> dict[str, float]:
    """Where the streams of a kind end, by what is played of them."""
    ends: dict[str, float] = {}
    with av.open(str(path)) as video_file:
        for packet in video_file.demux():
            if packet.size and not packet.is_discard:
                end = float((packet.pts + (packet.duration or 0)) * packet.time_base)
                ends[packet.stream.type] = max(ends.get(packet.stream.type, 0.0), end)
    return ends


# ---------------------------------------------------------------------------------- one offset


@pytest.mark.parametrize("offset_ms", [150.5, -100.0])
@pytest.mark.parametrize("name", SOURCES)
def test_one_offset_is_repaired_without_new_audio(
    tmp_path: Path, name: str, offset_ms: float
) -> None:
    source = make_video(tmp_path / name, **SOURCES[name])
    target = tmp_path / f"fixed{source.suffix}"
    report = repair(source, target, offset_ms)
    assert not report.reencoded
    near = 13.0 if name in ("mp3.avi", "ac3.avi") else MILLISECOND
    assert lead_ms(target) == pytest.approx(lead_ms(source) - offset_ms, abs=near)
    assert packets(target)["video"] == packets(source)["video"]
    before, after = ends_s(source), ends_s(target)
    assert after["video"] == pytest.approx(before["video"], abs=0.001)
    assert max(after.values()) <= max(before.values()) + 0.04


@pytest.mark.parametrize(("name", "target"), [("a.mp4", "b.mkv"), ("a.ts", "b.mp4")])
def test_into_another_container(tmp_path: Path, name: str, target: str) -> None:
    source = make_video(tmp_path / name)
    repair(source, tmp_path / target, -60)
    assert lead_ms(tmp_path / target) == pytest.approx(60, abs=MILLISECOND)


@pytest.mark.parametrize("begin_s", [95441.0, 36000.0], ids=["wraps at 26.5 h", "late"])
@pytest.mark.parametrize("target", ["b.mp4", "b.mkv"])
def test_the_clock_of_a_broadcast_is_left_behind(
    tmp_path: Path, target: str, begin_s: float
) -> None:
    source = tmp_path / "a.ts"
    with (
        av.open(str(make_video(tmp_path / "plain.ts"))) as plain,
        av.open(str(source), "w", options={"output_ts_offset": str(begin_s)}) as copy,
    ):
        made = {s.index: copy.add_stream_from_template(s) for s in plain.streams}
        for packet in plain.demux():
            if packet.size:
                packet.stream = made[packet.stream.index]
                copy.mux(packet)
    repair(source, tmp_path / target, -60)
    assert lead_ms(tmp_path / target) == pytest.approx(60, abs=MILLISECOND)
    with av.open(str(tmp_path / target)) as video_file:
        assert 2.9 < video_file.duration / av.time_base < 3.2


def test_pcm_may_be_cut_into_other_packets(tmp_path: Path) -> None:
    source = make_video(
        tmp_path / "a.mxf", video=Video(codec="mpeg2video"), audio=[Audio(codec="pcm_s16le")]
    )
    repair(source, tmp_path / "b.mov", -60)
    assert lead_ms(tmp_path / "b.mov") == pytest.approx(60, abs=MILLISECOND)


def test_back_and_forth_in_mp4_loses_no_packet(tmp_path: Path) -> None:
    source = make_video(tmp_path / "a.mp4")
    repair(source, tmp_path / "b.mp4", -150)
    repair(tmp_path / "b.mp4", tmp_path / "c.mp4", 150)
    with av.open(str(tmp_path / "b.mp4")) as video_file:
        assert video_file.streams.audio[0].frames == 142, "hidden by the edit list, and still there"
    assert lead_ms(tmp_path / "c.mp4") == pytest.approx(0, abs=0.1)


def test_the_index_of_mp4_comes_first(tmp_path: Path) -> None:
    source = make_video(tmp_path / "a.mp4")
    repair(source, tmp_path / "b.mp4", 80)
    raw = (tmp_path / "b.mp4").read_bytes()
    assert raw.index(b"moov") < raw.index(b"mdat")
    assert source.read_bytes().index(b"mdat") < source.read_bytes().index(b"moov")


def test_mp4_in_fragments(tmp_path: Path) -> None:
    whole = make_video(tmp_path / "a.mp4")
    options = {"movflags": "frag_keyframe+empty_moov"}
    with av.open(str(whole)) as old, av.open(str(tmp_path / "f.mp4"), "w", options=options) as new:
        made = {s.index: new.add_stream_from_template(s) for s in old.streams}
        for packet in old.demux():
            if packet.size:
                packet.stream = made[packet.stream.index]
                new.mux(packet)
    report = repair(tmp_path / "f.mp4", tmp_path / "b.mp4", 100)
    assert report.method == "timestamps"
    expected = lead_ms(tmp_path / "f.mp4") - 100
    assert lead_ms(tmp_path / "b.mp4") == pytest.approx(expected, abs=MILLISECOND)


UNITS = Units(movie=1000, track=48_000)


@pytest.mark.parametrize(
    ("edits", "later_ms", "expected"),
    [
        ([Edit(3000, 1024)], "100", [Edit(79, -1), Edit(2921, 0)]),
        ([Edit(3000, 1024)], "10.2", [Edit(10, -1), Edit(2990, 1024)]),
        ([Edit(3000, 9600)], "300", [Edit(300, -1), Edit(2700, 9600)]),
        ([Edit(3000, 1024)], "-100", [Edit(2900, 5824)]),
        ([Edit(200, -1), Edit(2800, 0)], "-50", [Edit(150, -1), Edit(2800, 0)]),
        ([Edit(200, -1), Edit(2800, 0)], "-250", [Edit(2750, 2400)]),
        ([Edit(100, 0), Edit(2900, 9600)], "-150", [Edit(2850, 12_000)]),
    ],
)
def test_edit_lists(edits: list[Edit], later_ms: str, expected: list[Edit]) -> None:
    assert moved_edits(edits, UNITS, Fraction(later_ms) / 1000, limit=3000) == expected


# ---------------------------------------------------------------------------------- several offsets


STEPS = RepairPlan((OffsetSpan(0.0, -80.0), OffsetSpan(1.53, 40.0)))


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.webm", "a.ts", "pcm.avi", "mp3.avi"])
def test_two_offsets_in_the_audios_own_codec(tmp_path: Path, name: str) -> None:
    """The clicks of the source are moved as the plan says they were, so that they end up in place."""
    heard = [t - (-0.08 if t < 1.5 else 0.04) for t in CLICKS_S]
    audio = replace(SOURCES[name].get("audio", [Audio()])[0], samples=clicks(3, 48_000, heard))
    source = make_video(tmp_path / name, **(SOURCES[name] | {"audio": [audio]}))
    target = tmp_path / f"fixed{source.suffix}"
    report = repair(source, target, STEPS)
    assert report.reencoded
    silent = make_video(tmp_path / f"same{source.suffix}", **SOURCES[name])
    assert lead_ms(target) == pytest.approx(lead_ms(silent), abs=1.5)
    assert packets(target)["video"] == packets(source)["video"]
    with av.open(str(source)) as old, av.open(str(target)) as new:
        before, after = old.streams.audio[0].codec_context, new.streams.audio[0].codec_context
        assert (after.codec.canonical_name, after.sample_rate, after.layout.name) == (
            before.codec.canonical_name, before.sample_rate, before.layout.name,
        )  # fmt: skip


def test_lossless_audio_stays_lossless(tmp_path: Path) -> None:
    audio = Audio(codec="flac", samples=murmur(3, 48_000), layout="mono")
    source = make_video(tmp_path / "a.mkv", audio=[audio])
    repair(source, tmp_path / "b.mkv", STEPS)

    def samples(path: Path) -> tuple[int, np.ndarray]:
        with av.open(str(path)) as video_file:
            frames = list(video_file.decode(audio=0))
            start = round(frames[0].pts * frames[0].time_base * 48_000)
            return start, np.concatenate([f.to_ndarray().ravel() for f in frames])

    (_, old), (start, new) = samples(source), samples(tmp_path / "b.mkv")
    assert start == 0
    low, high = 70_560, 76_320  # 120 ms are missing there
    np.testing.assert_array_equal(new[: low - 240], old[3840 : low - 240 + 3840])
    np.testing.assert_array_equal(new[high + 240 :], old[high + 240 - 1920 : len(new) - 1920])
    assert not new[low + 240 : high - 240].any()


def test_a_drift_is_resampled(tmp_path: Path) -> None:
    heard = [t - (0.03 + 0.02 * t) for t in CLICKS_S]  # the offset when it is seen
    audio = Audio(codec="flac", samples=clicks(3, 48_000, heard))
    source = make_video(tmp_path / "a.mkv", audio=[audio])
    repair(source, tmp_path / "b.mkv", RepairPlan((OffsetSpan(0.0, 30.0, 1200.0),)))
    with VideoFile(tmp_path / "b.mkv") as video_file:
        for _ in video_file:
            pass
        found = find_clicks(video_file.audio.pop(video_file.audio.end))
    np.testing.assert_allclose(found, CLICKS_S, atol=0.0015)


def test_resampling_is_clean() -> None:
    """A tone of another pitch by the drift, and nothing else."""
    rate, seconds = 48_000, 2
    moved = MovedSamples(
        [OffsetSpan(0.0, 0.0, 600.0)],
        origin_s=0.0, rate=rate, last=rate, dtype=np.dtype(np.float64), channels=1,
    )  # fmt: skip
    moved.add(np.sin(2 * np.pi * 9000 * np.arange(seconds * rate) / rate)[None], 0)
    made = np.concatenate([moved.take(i, i + 4800) for i in range(4800, rate, 4800)], axis=1)[0]
    time_s = np.arange(4800, rate) / rate
    wanted = np.sin(2 * np.pi * 9000 * (time_s - 0.01 * time_s))
    assert 20 * np.log10(np.abs(made - wanted).max()) < -80


# ---------------------------------------------------------------------------------- all else


def rich_video(path: Path) -> Path:
    """Two audio tracks, subtitles, chapters, an attached font, a title and a language."""
    plain = make_video(
        path.with_name("plain.mkv"), audio=[Audio(), Audio(samples=murmur(3, 48_000), codec="ac3")]
    )
    with av.open(str(plain)) as old, av.open(str(path), "w") as new:
        new.metadata["title"] = "Ein Video"
        new.add_attachment("a.ttf", "font/ttf", b"font" * 100)
        made = {s.index: new.add_stream_from_template(s) for s in old.streams}
        made[1].metadata["language"] = "ger"
        made[2].disposition = av.stream.Disposition.comment
        words = new.add_mux_stream("subrip")
        words.time_base = Fraction(1, 1000)
        unit = Fraction(1, 1000)
        new.set_chapters(
            [
                {"id": 1, "start": 0, "end": 1500, "time_base": unit, "metadata": {"title": "A"}},
                {
                    "id": 2,
                    "start": 1500,
                    "end": 3000,
                    "time_base": unit,
                    "metadata": {"title": "B"},
                },
            ]
        )
        for packet in old.demux():
            if packet.size:
                packet.stream = made[packet.stream.index]
                new.mux(packet)
        for start, text in ((500, b"Hello"), (2000, b"there")):
            packet = av.Packet(text)
            packet.stream, packet.time_base = words, unit
            packet.pts = packet.dts = start
            packet.duration = 700
            new.mux(packet)
    return path


def content(path: Path) -> tuple:
    """All that a repair has to keep of a Matroska file."""
    with av.open(str(path)) as video_file:
        kept = [
            (s.type, s.metadata.get("language"), int(s.disposition), s.metadata.get("filename"))
            for s in video_file.streams
        ]
        chapters = [(c["start"], c["metadata"]) for c in video_file.chapters()]
        data: dict[int, list] = {}
        for packet in video_file.demux():
            if packet.size and packet.stream.type != "audio":
                data.setdefault(packet.stream.index, []).append((packet.pts, bytes(packet)))
        return kept, chapters, video_file.metadata["title"], data


@pytest.mark.parametrize("plan", [RepairPlan.constant(-80), STEPS], ids=["constant", "steps"])
def test_everything_else_is_kept(tmp_path: Path, plan: RepairPlan) -> None:
    source = rich_video(tmp_path / "a.mkv")
    repair(source, tmp_path / "b.mkv", plan)
    assert content(tmp_path / "b.mkv") == content(source)


def test_one_track_of_two(tmp_path: Path) -> None:
    source = rich_video(tmp_path / "a.mkv")
    report = repair(source, tmp_path / "b.mkv", RepairPlan.constant(200, audio_track=1))
    assert report.tracks == (1,)

    def starts(path: Path) -> list[float]:
        with av.open(str(path)) as video_file:
            return [float(s.start_time * s.time_base) for s in video_file.streams.audio]

    before, after = starts(source), starts(tmp_path / "b.mkv")
    assert np.subtract(after, before) == pytest.approx([0, 0.2], abs=0.0015)


@pytest.mark.parametrize("plan", [RepairPlan.constant(-80), STEPS], ids=["constant", "steps"])
def test_rotation_and_cover_are_kept(tmp_path: Path, plan: RepairPlan) -> None:
    source = make_video(tmp_path / "a.mp4", video=Video(rotation=90), cover=True)
    repair(source, tmp_path / "b.mp4", plan)
    with av.open(str(source)) as old, av.open(str(tmp_path / "b.mp4")) as new:
        covers = [
            [s.index for s in f.streams if int(s.disposition) & av.stream.Disposition.attached_pic]
            for f in (old, new)
        ]
        shown = [s for s in new.streams.video if s.index not in covers[1]]
        assert len(covers[0]) == len(covers[1]) == 1
        assert next(new.decode(shown[0])).rotation == 90


# ---------------------------------------------------------------------------------- refusals


@pytest.fixture(scope="module")
def video_file(tmp_path_factory) -> Path:
    return make_video(tmp_path_factory.mktemp("repair") / "a.mp4", seconds=1)


def test_the_video_itself_is_never_overwritten(video_file: Path, tmp_path: Path) -> None:
    (tmp_path / "link.mp4").symlink_to(video_file)
    os.link(video_file, tmp_path / "hard.mp4")
    for name in (video_file, tmp_path / "link.mp4", tmp_path / "hard.mp4"):
        with pytest.raises(UsageError, match="never overwritten"):
            repair(video_file, name, 80, overwrite=True)


def test_a_file_that_is_there(video_file: Path, tmp_path: Path) -> None:
    (tmp_path / "b.mp4").write_bytes(b"old")
    with pytest.raises(UsageError, match="is there already") as caught:
        repair(video_file, tmp_path / "b.mp4", 80)
    assert "--overwrite" in caught.value.remedy
    assert (tmp_path / "b.mp4").read_bytes() == b"old"
    repair(video_file, tmp_path / "b.mp4", 80, overwrite=True)
    assert (tmp_path / "b.mp4").stat().st_size > 1000


@pytest.mark.parametrize(
    ("target", "plan", "kind", "told"),
    [
        ("b.xyz", 80, UsageError, "no container"),
        ("b", 80, UsageError, "without an ending"),
        ("none/b.mp4", 80, OutputError, "No such file or directory"),
        ("b.webm", 80, OutputError, "WebM cannot hold the video stream 0 .h264."),
        ("b.avi", 80, OutputError, "AVI has no timestamps"),
        ("b.mp4", RepairPlan.constant(80, audio_track=3), UsageError, "no audio track 3"),
        ("b.mp4", -1500, MediaError, "nothing of the audio is left"),
        ("b.mkv", float("nan"), UsageError, "no number"),
    ],
)
def test_what_cannot_be_written(
    video_file: Path, tmp_path: Path, target: str, plan: RepairPlan | float, kind: type, told: str
) -> None:
    with pytest.raises(kind, match=told) as caught:
        repair(video_file, tmp_path / target, plan)
    assert caught.value.remedy
    assert list(tmp_path.iterdir()) == [], "nothing is left behind"


def test_a_remedy_names_no_container_that_cannot_hold_the_video_either(tmp_path: Path) -> None:
    old = make_video(tmp_path / "old.wmv", seconds=1, **SOURCES["a.wmv"])
    for target in ("b.mp4", "b.mkv"):
        with pytest.raises(OutputError, match=r"cannot hold the video stream . \(wmv2\)") as caught:
            repair(old, tmp_path / target, 80)
        assert caught.value.remedy == "Write to .wmv."


def jumping(time_s: float) -> float:
    return time_s if time_s < 1 else time_s - 0.9 + 1000


@pytest.mark.parametrize(
    ("name", "more", "kind", "told"),
    [
        ("none.mp4", None, MissingError, "no such file"),
        ("text.mp4", None, MediaError, "text.mp4"),
        ("mute.mp4", {"audio": []}, MediaError, "no audio track"),
        ("blind.m4a", {"video": None}, MediaError, "no video track"),
        ("jump.mkv", {"audio": [Audio(retime=jumping)]}, MediaError, "jump ahead at 1.0 s"),
    ],
)
def test_videos_that_cannot_be_repaired(
    tmp_path: Path, name: str, more: dict | None, kind: type, told: str
) -> None:
    (tmp_path / "text.mp4").write_text("no video")
    if more is not None:
        make_video(tmp_path / name, seconds=2, **more)
    with pytest.raises(kind, match=told) as caught:
        repair(tmp_path / name, tmp_path / "out.mkv", 80)
    assert caught.value.remedy
    assert not (tmp_path / "out.mkv").exists()


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_a_full_disk_leaves_nothing_half_written(tmp_path: Path, name: str) -> None:
    source = make_video(tmp_path / name, seconds=1)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (source.stat().st_size // 2, limits[1]))
    try:
        with pytest.raises(OutputError, match="too large"):
            repair(source, tmp_path / f"b{source.suffix}", 80)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert [p.name for p in tmp_path.iterdir()] == [name]


def test_a_full_disk_leaves_the_old_output_as_it_was(tmp_path: Path) -> None:
    source, old = make_video(tmp_path / "a.mkv", seconds=1), tmp_path / "b.mkv"
    old.write_bytes(b"old")
    before = source.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) // 2, limits[1]))
    try:
        with pytest.raises(OutputError, match="too large"):
            repair(source, old, 80, overwrite=True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert (old.read_bytes(), source.read_bytes()) == (b"old", before)
    assert len(list(tmp_path.iterdir())) == 2


def copied(sources: list[Path], target: Path, *, later_s: float = 0.0) -> Path:
    """All streams of several files in one, later by as much."""
    opened = [av.open(str(source)) for source in sources]
    with av.open(str(target), "w") as new:
        packets = []
        for old in opened:
            made = {s.index: new.add_stream_from_template(s) for s in old.streams}
            for index, stream in made.items():
                stream.disposition = old.streams[index].disposition
            for packet in filter(lambda p: p.size, old.demux()):
                packet.stream = made[packet.stream.index]
                for name in ("pts", "dts"):  # a cover has none
                    moved = (getattr(packet, name) or 0) + round(later_s / packet.time_base)
                    setattr(packet, name, moved)
                packets.append(packet)
        for packet in sorted(packets, key=lambda p: float(p.dts * p.time_base)):
            new.mux(packet)
    for old in opened:
        old.close()
    return target


def frames_of(path: Path) -> list[list[bytes]]:
    """Packets of every video stream."""
    found: dict[int, list[bytes]] = {}
    with av.open(str(path)) as video_file:
        for packet in video_file.demux(video=list(range(len(video_file.streams.video)))):
            if packet.size:
                found.setdefault(packet.stream.index, []).append(bytes(packet))
    return [found[index] for index in sorted(found)]


@pytest.mark.parametrize("plan", [RepairPlan.constant(-80), STEPS], ids=["constant", "steps"])
def test_several_video_streams_and_a_cover_are_kept(tmp_path: Path, plan: RepairPlan) -> None:
    parts = [
        make_video(tmp_path / "one.mp4", cover=True),
        make_video(tmp_path / "two.mp4", video=Video("mpeg4"), audio=[]),
    ]
    source = copied(parts, tmp_path / "a.mp4")
    repair(source, tmp_path / "b.mp4", plan)
    with av.open(str(source)) as old, av.open(str(tmp_path / "b.mp4")) as new:
        kinds, streams = (
            [(s.type, s.codec_context.name, int(s.disposition)) for s in f.streams]
            for f in (old, new)
        )
    assert [kind for kind, *_ in kinds].count("video") == 3
    assert streams == kinds
    assert frames_of(tmp_path / "b.mp4") == frames_of(source)


def test_timestamps_of_a_transport_stream_that_begin_anew(tmp_path: Path) -> None:
    """33 bits of 90 kHz end after 26.5 hours; the video runs on."""
    plain = make_video(tmp_path / "plain.ts", seconds=3)
    wraps = copied([plain], tmp_path / "a.ts", later_s=2**33 / 90_000 - 2.5)
    repair(wraps, tmp_path / "b.ts", 120)
    assert [len(found) for found in frames_of(tmp_path / "b.ts")] == [75]
    assert ends_s(tmp_path / "b.ts")["video"] < 10
    assert lead_ms(tmp_path / "b.ts") == pytest.approx(-120, abs=2)


def test_several_programmes_would_become_one(tmp_path: Path) -> None:
    made = make_video(tmp_path / "a.ts", seconds=1)
    data = made.read_bytes()
    tables = [
        pat({1: 0x1000, 2: 0x1001}),
        pmt(0x1000, 1, [(0x1B, 0x100)]),
        pmt(0x1001, 2, [(0x0F, 0x101)]),
    ]
    made.write_bytes(with_tables(data, tables, of=[0, 0x1000]))
    with pytest.raises(MediaError, match="several programmes"):
        repair(made, tmp_path / "b.ts", 80)
    assert repair(made, tmp_path / "b.mkv", 80).method == "timestamps"


def test_lengths_that_differ(tmp_path: Path) -> None:
    """Audio longer than the video, and shorter: both keep their own ends."""
    long = make_video(tmp_path / "a.mkv", seconds=1, audio=[Audio(samples=clicks(3, 48_000))])
    repair(long, tmp_path / "b.mkv", 80)
    assert ends_s(tmp_path / "b.mkv")["audio"] == pytest.approx(ends_s(long)["audio"], abs=0.03)
    short = make_video(tmp_path / "c.mkv", audio=[Audio(samples=clicks(1, 48_000))])
    repair(short, tmp_path / "d.mkv", 80)
    assert ends_s(tmp_path / "d.mkv")["audio"] == pytest.approx(1.08, abs=0.03)


def test_one_frame(tmp_path: Path) -> None:
    source = make_video(tmp_path / "a.mp4", seconds=0.04)
    repair(source, tmp_path / "b.mp4", -10)
    assert len(packets(tmp_path / "b.mp4")["video"]) == 1


def test_containers_by_their_ending() -> None:
    assert container_for("A.MKV").muxer == "matroska"
    assert container_for("a.m2ts").options == {"mpegts_m2ts_mode": "1"}


def test_the_service_of_a_transport_stream_keeps_its_names(tmp_path: Path) -> None:
    plain = make_video(tmp_path / "plain.ts", seconds=1)
    ids = {
        "mpegts_service_id": "777",
        "mpegts_transport_stream_id": "12",
        "mpegts_original_network_id": "9018",
    }
    with av.open(str(plain)) as old, av.open(str(tmp_path / "a.ts"), "w", options=ids) as new:
        new.metadata.update({"service_name": "Kanal Ü", "service_provider": "Provider"})
        made = {s.index: new.add_stream_from_template(s) for s in old.streams}
        for packet in old.demux():
            if packet.size:
                packet.stream = made[packet.stream.index]
                new.mux(packet)
    repair(tmp_path / "a.ts", tmp_path / "b.ts", 80)
    wanted = TransportService(777, 12, 9018, "Kanal Ü", "Provider")
    for name in ("a.ts", "b.ts"):
        with open(tmp_path / name, "rb") as file:
            assert first_service(file) == wanted


@pytest.mark.parametrize("size", [0, 100, 188, 5000])
def test_what_names_no_service_has_none(size: int) -> None:
    assert first_service(io.BytesIO(bytes([0x47]) * size)) is None


# ---------------------------------------------------------------------------------- plans


def measured(offset_frames: float | None = 3.0, **more) -> DetectResult:
    facts = {
        "input": "talk.mp4", "backbone": "x", "weights": "x", "synctool": "0", "confidence": 0.9,
        "verdict": "detectable", "reason": None, "coverage": 1.0, "drift_ms_per_min": 0.0,
        "syncnet_confidence": None, "min_distance": None, "segments": (), "tracks": (),
        "frames": FrameSeries((), (), ()), "timing_s": {}, "max_offset": 15,
        "source": Source(60.0, 25.0, 0.0, 0.0, 64, 64, 16_000),
    }  # fmt: skip
    return DetectResult(offset_frames=offset_frames, **(facts | more))


def segment(start_s: float, end_s: float, frames: float, confidence: float = 0.9) -> Segment:
    return Segment(start_s, end_s, frames, confidence)


@pytest.mark.parametrize(
    ("segments", "drift", "spans"),
    [
        ((), 0.0, (OffsetSpan(0.0, 120.0),)),
        ((segment(0, 60, 3.2),), 0.0, (OffsetSpan(0.0, 120.0),)),
        ((segment(0, 30, 3), segment(30, 60, 3.5)), 0.0, (OffsetSpan(0.0, 120.0),)),
        (
            (segment(0, 20, 3), segment(30, 60, -2)), 0.0,
            (OffsetSpan(0.0, 120.0), OffsetSpan(25.0, -80.0)),
        ),
        ((segment(0, 20, 3), segment(30, 60, -2, 0.2)), 0.0, (OffsetSpan(0.0, 120.0),)),
        (
            (segment(0, 30, 0.75), segment(30, 60, 2.25)), 120.0,
            (OffsetSpan(0.0, 0.0, 120.0),),
        ),
        ((segment(0, 60, 3),), 10.0, (OffsetSpan(0.0, 120.0),)),
        (
            (segment(0, 30, 3), segment(30, 60, -2)), 40.0,
            (OffsetSpan(0.0, 110.0, 40.0), OffsetSpan(30.0, -90.0, 40.0)),
        ),
    ],
)  # fmt: skip
def test_the_plan_of_a_measurement(segments: tuple, drift: float, spans: tuple) -> None:
    assert plan_repair(measured(segments=segments, drift_ms_per_min=drift)).spans == spans


@pytest.mark.parametrize(("low", "drifts"), [(1.0, False), (20.0, True)])
def test_a_drift_that_is_hardly_told_from_none_is_not_repaired(low: float, drifts: bool) -> None:
    found = measured(
        segments=(segment(0, 60, 3),),
        drift_ms_per_min=30.0,
        drift_interval_ms_per_min=(low, 60.0 - low),
    )
    (span,) = plan_repair(found).spans
    assert span == (OffsetSpan(0.0, 105.0, 30.0) if drifts else OffsetSpan(0.0, 120.0))


def test_no_plan_without_an_answer() -> None:
    with pytest.raises(InconclusiveError, match="no face") as caught:
        plan_repair(measured(None, verdict="inconclusive", reason="no face was found"))
    assert caught.value.exit_code == 3
    assert "--offset-ms" in caught.value.remedy


# ---------------------------------------------------------------------------------- fix


def by_clicks(path: str) -> DetectResult:
    """A measurement by what frame and audio spell."""
    offset = lead_ms(Path(path)) / 40
    return measured(offset, input=path, verdict="in sync" if abs(offset) < 1 else "detectable")


@pytest.fixture(scope="module")
def wrong(video_file: Path) -> Path:
    whole = make_video(video_file.with_name("whole.mp4"))
    repair(whole, video_file.with_name("wrong.mp4"), -120)
    return video_file.with_name("wrong.mp4")


def test_fix_measures_repairs_and_measures_again(wrong: Path, tmp_path: Path) -> None:
    done = fix(wrong, tmp_path / "b.mp4", measure=by_clicks)
    told = done.to_dict()
    assert (told["schema"], told["action"], told["method"]) == (
        "synctool.fix/1", "repaired", "edit list",
    )  # fmt: skip
    assert told["before"]["offset_ms"] == 120
    assert told["residual_ms"] == told["after"]["offset_ms"] == 0
    assert done.exit_code == 0


def test_fix_leaves_alone_what_is_right(wrong: Path, tmp_path: Path) -> None:
    fix(wrong, tmp_path / "b.mp4", measure=by_clicks)
    again = fix(tmp_path / "b.mp4", tmp_path / "c.mp4", measure=by_clicks)
    assert (again.action, again.output, again.exit_code) == ("unchanged", None, 0)
    assert not (tmp_path / "c.mp4").exists()
    forced = fix(tmp_path / "b.mp4", tmp_path / "c.mp4", measure=by_clicks, force=True)
    assert forced.action == "repaired"


def test_a_dry_run_writes_nothing(wrong: Path, tmp_path: Path) -> None:
    done = fix(wrong, tmp_path / "b.mp4", measure=by_clicks, dry_run=True)
    assert (done.action, done.plan.offset_ms) == ("planned", pytest.approx(120, abs=0.1))
    assert list(tmp_path.iterdir()) == []


def test_an_offset_by_hand_needs_no_measurement(wrong: Path, tmp_path: Path) -> None:
    def never(_: str) -> DetectResult:
        raise AssertionError

    done = fix(wrong, tmp_path / "b.mp4", measure=never, offset_ms=120, verify=False)
    assert (done.before, done.after, done.exit_code) == (None, None, 0)
    assert lead_ms(tmp_path / "b.mp4") == pytest.approx(0, abs=0.1)


@pytest.mark.parametrize(
    ("after", "code"),
    [
        (measured(0.2), 0),
        (measured(2.0), 4),
        (measured(0.2, segments=(segment(0, 5, 0), segment(5, 9, 3))), 4),
        (measured(None, verdict="inconclusive"), 3),
    ],
)
def test_exit_codes(wrong: Path, tmp_path: Path, after: DetectResult, code: int) -> None:
    answers = iter([measured(3.0), after])
    done = fix(wrong, tmp_path / "b.mp4", measure=lambda _: next(answers))
    assert done.exit_code == code


def test_fix_refuses_before_it_measures(wrong: Path, tmp_path: Path) -> None:
    with pytest.raises(SyncToolError, match="no container"):
        fix(wrong, tmp_path / "b.xyz", measure=lambda _: pytest.fail("measured"))


# ---------------------------------------------------------------------------------- the command


measurements: list[str] = []
"""Names of the files that were measured."""


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """Runs ``synctool fix`` in an empty folder, with a measurement by clicks."""
    monkeypatch.chdir(tmp_path)

    class ByClicks:
        decides: ClassVar = {}

        def __init__(self, settings: object) -> None:
            del settings

        def detect(self, path: str, **_: object) -> DetectResult:
            measurements.append(Path(path).name)
            if "mute" in path:
                return measured(
                    None, input=path, verdict="inconclusive", reason="no face was found"
                )
            return by_clicks(path)

    monkeypatch.setattr("synctool.measure.detect.Detector", ByClicks)

    monkeypatch.setenv("SYNCTOOL_CACHE", str(tmp_path / "cache"))
    measurements.clear()

    def call(*words: object, command: str = "fix") -> tuple[int, str, str]:
        capsys.readouterr()
        code = main([command, *map(str, words)])
        return code, *capsys.readouterr()

    return call


def test_the_command_repairs_and_reports(run, wrong: Path) -> None:
    code, out, err = run(wrong, "-o", "b.mp4", "--json", "b.json")
    assert (code, err) == (0, "")
    assert "audio 120 ms ahead; repaired, written to b.mp4" in out
    assert lead_ms(Path("b.mp4")) == pytest.approx(0, abs=MILLISECOND)
    told = json.loads(Path("b.json").read_text())
    assert (told["schema"], told["residual_ms"], told["audio_tracks"]) == ("synctool.fix/1", 0, [0])
    code, out, _ = run("b.mp4", "-o", "c.mp4")
    assert code == 0
    assert "in sync within 40 ms" in out
    assert "--force" in out
    assert not Path("c.mp4").exists()


def test_detect_repairs_what_it_has_measured(run, wrong: Path) -> None:
    code, out, err = run(wrong, "--fix", "b.mp4", "--json", "a.json", command="detect")
    assert (code, err) == (0, "")
    assert measurements == [wrong.name, "b.mp4"]
    assert "audio 120 ms ahead; repaired, written to b.mp4" in out
    assert lead_ms(Path("b.mp4")) == pytest.approx(0, abs=MILLISECOND)
    assert json.loads(Path("a.json").read_text())["offset_ms"] == 120
    code, out, err = run(wrong, "--fix", "b.mp4", command="detect")
    assert code == 2
    assert "--overwrite" in err
    assert len(measurements) == 2
    code, _, err = run(wrong, "--fix", "b.mp4", "--overwrite", "--quiet", command="detect")
    assert (code, err) == (0, "")
    code, out, _ = run("b.mp4", "--fix", "c.mp4", command="detect")
    assert code == 0
    assert "in sync within 40 ms" in out
    assert not Path("c.mp4").exists()


def test_detect_repairs_a_folder(run, wrong: Path) -> None:
    Path("in").mkdir()
    for name in ("a.mp4", "mute.mp4"):
        shutil.copy(wrong, Path("in", name))
    code, out, err = run("in", "--fix", "out", command="detect")
    assert code == 3
    assert [p.name for p in Path("out").iterdir()] == ["a.mp4"]
    assert "no face was found" in err
    assert "repaired" in out


def test_markers_of_one_video_and_of_several(run, wrong: Path) -> None:
    code, _, err = run(
        wrong, "--markers", "a.edl", "--markers-start", "01:00:00:00", command="detect"
    )
    assert (code, err) == (0, "")
    assert "01:00:00:00 01:00:00:01" in Path("a.edl").read_text()
    Path("in").mkdir()
    for name in ("a.mp4", "mute.mp4"):
        shutil.copy(wrong, Path("in", name))
    code, *_ = run("in", "--markers", "m", "--markers-format", "webvtt", command="detect")
    assert code == 3
    assert sorted(p.name for p in Path("m").iterdir()) == ["a.mp4.vtt", "mute.mp4.vtt"]
    code, out, _ = run(
        wrong, "--markers", "-", "--markers-format", "fcpxml", command="detect"
    )  # fmt: skip
    assert code == 0
    assert out.startswith("<?xml")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--markers", "a.txt"), "the format of the markers cannot be told"),
        (("--markers-format", "edl"), "there are no markers to be written"),
        (("--markers", "a.edl", "--markers-start", "noon"), "'noon' is no timecode"),
        (("--overwrite",), "--overwrite has no effect without --fix"),
        (("--fix", "a.xyz"), "no container"),
    ],
)
def test_wrong_words_for_markers_and_repairs(run, wrong: Path, words: tuple, told: str) -> None:
    code, _, err = run(wrong, *words, command="detect")
    assert code == 2
    assert told in err


def test_a_dry_run_of_the_command(run, wrong: Path) -> None:
    code, out, _ = run(wrong, "-o", "b.mp4", "--dry-run")
    assert code == 0
    assert "would be repaired without encoding" in out
    assert not Path("b.mp4").exists()


def test_a_folder_with_a_bad_file(run, wrong: Path) -> None:
    Path("in").mkdir()
    shutil.copy(wrong, "in/a.mp4")
    shutil.copy(wrong, "in/mute.mp4")
    Path("in/z.mp4").write_text("no video")
    code, out, err = run("in", "-o", "out", "--json", "-")
    lines = [json.loads(line) for line in out.splitlines()]
    assert code == 1
    assert [line["exit_code"] for line in lines] == [0, 3, 1]
    assert [p.name for p in Path("out").iterdir()] == ["a.mp4"]
    assert "no face was found" in err
    assert "z.mp4" in err
    code, out, _ = run("in", "-o", "again")
    assert code == 1
    *rows, total = out.splitlines()
    assert total == "3 videos: 2 failed, 1 repaired"
    assert [line.split()[1] for line in rows] == [
        "Result",
        "repaired",
        "failed",
        "failed",
    ]


def test_a_folder_keeps_its_folders(run, wrong: Path) -> None:
    by_hand = ("--offset-ms", "120", "--no-check", "--quiet")
    Path("in/sub").mkdir(parents=True)
    shutil.copy(wrong, "in/a.mp4")
    shutil.copy(wrong, "in/sub/a.mp4")
    assert run("in", "-o", "out", *by_hand)[0] == 0
    assert sorted(map(str, Path("out").rglob("*.mp4"))) == ["out/a.mp4", "out/sub/a.mp4"]
    pcm = [Audio(codec="pcm_s16le")]
    make_video(Path("in/b.mxf"), video=Video(codec="mpeg2video"), audio=pcm, seconds=1)
    run("in", "-o", "more", *by_hand)
    assert Path("more/b.mkv").exists(), "MXF is not written"
    written = Path("more/b.mkv").stat().st_mtime_ns
    Path("more/a.mp4").unlink()
    code, _, err = run("in", "-o", "more", *by_hand, "--skip-existing")
    assert (code, Path("more/a.mp4").exists()) == (0, True)
    assert Path("more/b.mkv").stat().st_mtime_ns == written
    code, out, err = run("in", "-o", "more", "--offset-ms", "120", "--no-check", "--skip-existing")
    assert (code, out, err) == (0, "", "3 of 3 are repaired already.\n")
    assert run("in", "-o", "more", *by_hand, "--skip-existing", "--overwrite")[0] == 2
    code, _, err = run("in/a.mp4", "in/sub/a.mp4", "-o", "flat", *by_hand)
    assert code == 2
    assert "in/sub/a.mp4: another video of this run goes to flat/a.mp4, too" in err


def test_a_terminated_run_leaves_nothing_behind(run, wrong: Path, monkeypatch) -> None:
    def terminated(*_: object, **__: object) -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr("synctool.repairing.run.survey", terminated)
    shutil.copy(wrong, "a.mp4")
    code, *_ = run("a.mp4", "-o", "b.mp4", "--offset-ms", "120", "--no-check")
    assert code == 130
    assert [p.name for p in Path.cwd().iterdir() if p.name not in ("a.mp4", wrong.name)] == []


def test_a_stopped_folder_says_how_far_it_came(run, wrong: Path, monkeypatch) -> None:
    def stopped(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("synctool.repairing.fix.fix", stopped)
    shutil.copy(wrong, "a.mp4")
    code, out, err = run("a.mp4", "a.mp4", wrong.name, "-o", "out/")
    assert (code, out) == (130, "")
    assert err.startswith("Stopped after 0 of 2 videos; repaired files stay.")


def test_one_offset_by_hand_for_several(run, wrong: Path) -> None:
    shutil.copy(wrong, "a.mp4")
    shutil.copy(wrong, "b.mp4")
    code, *_ = run("a.mp4", "b.mp4", "-o", "out/", "--offset-ms", "120", "--no-check", "--quiet")
    assert code == 0
    assert lead_ms(Path("out/b.mp4")) == pytest.approx(0, abs=MILLISECOND)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((), "--out"),
        (("-o", "b.xyz"), "no container"),
        (("-o", "b.mp4", "--offset-ms", "nan"), "not a number"),
        (("-o", "b.mp4", "--tolerance", "-1"), "tolerance"),
        (("-o", "b.mp4", "--offset-ms", "9", "--audio-track", "3"), "no audio track 3"),
    ],
)
def test_wrong_words(run, wrong: Path, words: tuple[str, ...], told: str) -> None:
    code, _, err = run(wrong, *words)
    assert code == 2
    assert told in err


def test_several_videos_need_a_folder(run, wrong: Path) -> None:
    Path("b.mp4").write_bytes(b"old")
    code, _, err = run(wrong, wrong.with_name("whole.mp4"), "-o", "b.mp4")
    assert code == 2
    assert "is a file" in err
