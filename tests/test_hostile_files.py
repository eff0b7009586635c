"""Content that cannot be right: every reader says so once and clearly, before memory or time is lost."""

from __future__ import annotations

import io
import json
import random
import struct
import tarfile
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some
from safetensors.torch import save, save_file

from fake_samples import talking_sample
from hostile_inputs import (
    READERS,
    SPOILS,
    Reader,
    manifest,
    network,
    packed_zip,
    processed,
    read_journal,
    read_processed,
    read_weights,
    replace_by_pipe,
    replace_member,
    reported,
    spoiled,
)
from synctool.adapting.measured_segments import MeasuredSegments
from synctool.data.samples import SampleInfo, crops_of, flac, jpeg
from synctool.downloads.partial import Partial
from synctool.errors import MissingError, SyncToolError, UsageError, WeightsError
from synctool.networks.load_torch import load_network
from synctool.networks.loaded import of_header
from synctool.networks.names import model_spec
from synctool.scoring.confidence import Calibration
from synctool.settings.detect import DetectSettings
from synctool.settings.sources import resolve
from synctool.training.checkpoint import load_state
from synctool.untrusted.audio_files import decode_flac, decode_wav, flac_length
from synctool.untrusted.documents import DEEPEST, parse_json, parse_toml, typed
from synctool.untrusted.jpeg_files import decode_jpeg, jpeg_size
from synctool.untrusted.origin import MalformedError
from synctool.untrusted.text import decode_text
from synctool.weights.artefact import read_artefact
from synctool.weights.files import load_weights

BY_NAME = {reader.name: reader for reader in READERS}
CAREFREE = {"receipt", "trust store", "download note", "places"}
"""Readers that take a damaged file for none."""


def named_reader(reader: Reader) -> str:
    return reader.name


def refusal(read: Callable[[], object]) -> SyncToolError:
    """The one clear error of a reader."""
    with pytest.raises(SyncToolError) as caught:
        read()
    assert caught.value.remedy
    return caught.value


@pytest.mark.parametrize("reader", READERS, ids=named_reader)
def test_good_files_are_read(tmp_path: Path, reader: Reader) -> None:
    reader.read(reader.make(tmp_path))


@pytest.mark.parametrize("reader", READERS, ids=named_reader)
def test_a_pipe_is_never_waited_for(tmp_path: Path, reader: Reader) -> None:
    path = reader.make(tmp_path)
    replace_by_pipe(path)
    began = time.monotonic()
    if reader.name in CAREFREE:
        reader.read(path)
    else:
        with pytest.raises((SyncToolError, *reader.errors)):
            reader.read(path)
    assert time.monotonic() - began < 5


DOCUMENTS = [r for r in READERS if r.name not in ("weights", "weights.pth", "state", "targets")]


@pytest.mark.parametrize("text", [b"[" * 100_000, b'{"a":' * 100_000, b"[[" * 40 + b"]]" * 40])
@pytest.mark.parametrize("reader", DOCUMENTS, ids=named_reader)
def test_depth_is_limited(tmp_path: Path, reader: Reader, text: bytes) -> None:
    path = reader.make(tmp_path)
    path.write_bytes(text)
    if reader.name in CAREFREE:
        reader.read(path)
    else:
        with pytest.raises((SyncToolError, *reader.errors)):
            reader.read(path)


@settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    reader=some.sampled_from(READERS),
    how=some.sampled_from(sorted(SPOILS)),
    seed=some.integers(0, 2**32),
)
def test_whatever_is_spoiled_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, reader: Reader, how: str, seed: int
) -> None:
    path = reader.make(tmp_path_factory.mktemp("hostile"))
    spoiled(path, how, random.Random(seed))
    try:
        reader.read(path)
    except (SyncToolError, *reader.errors):
        pass


# Documents


def test_depth_counts_brackets_outside_of_texts_only() -> None:
    text = json.dumps(["[{" * 1000 + '\\" [', 1])
    assert parse_json(text) == json.loads(text)
    assert parse_json("[" * DEEPEST + "]" * DEEPEST)
    with pytest.raises(MalformedError, match="deep"):
        parse_json("[" * (DEEPEST + 1) + "]" * (DEEPEST + 1))


def test_a_text_that_never_ends_costs_no_time() -> None:
    hostile = '["' + '\\"' * 200_000 + "[" * 100
    began = time.monotonic()
    with pytest.raises(MalformedError):
        parse_json(hostile)
    assert time.monotonic() - began < 2


@pytest.mark.parametrize(
    "text", ["a = " + "[" * 5000, ".".join("a" * 5000) + " = 1", "a = 1\na = 2"]
)
def test_toml_that_is_none(text: str) -> None:
    with pytest.raises(MalformedError):
        parse_toml(text)


@pytest.mark.parametrize("value", ["1", True, 1.5, None, [1], 10**400])
def test_types_are_strict(value: object) -> None:
    with pytest.raises(MalformedError, match=r"at `\$|range"):
        typed({"x": value}, dict[str, float] if value == 10**400 else dict[str, int])


@pytest.mark.parametrize("ends", ["\n", "\r\n"])
@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"]
)
def test_settings_of_editors_on_windows_are_read(tmp_path: Path, encoding: str, ends: str) -> None:
    text = ends.join(["# Größe", "[detect]", "max_offset = 20", ""])
    mark = "\ufeff" if encoding in ("utf-16-le", "utf-16-be") else ""
    path = tmp_path / "s.toml"
    path.write_bytes((mark + text).encode(encoding))
    assert resolve(DetectSettings, file=path).max_offset == 20


def test_settings_in_no_known_encoding_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "s.toml"
    path.write_bytes("[detect]\n# Größe".encode("latin-1"))
    error = refusal(lambda: resolve(DetectSettings, file=path))
    assert isinstance(error, UsageError)
    assert "line 2 is not in UTF-8" in error.cause
    assert "s.toml" in error.cause


def test_marks_are_no_part_of_a_text() -> None:
    for encoding in ("utf-8-sig", "utf-16", "utf-32"):
        assert decode_text("a\r\nb\rc".encode(encoding)) == "a\nb\nc"


# Frames


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 255, (height, width), dtype=np.uint8)


def claimed(data: bytes, height: int, width: int) -> bytes:
    """A JPEG whose header says another size."""
    at = data.index(b"\xff\xc0") + 5
    return data[:at] + struct.pack(">HH", height, width) + data[at + 4 :]


def test_the_header_of_a_jpeg_says_its_size() -> None:
    assert jpeg_size(jpeg(noise(48, 96))) == (48, 96)
    _, progressive = cv2.imencode(".jpg", noise(31, 17), [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])
    assert jpeg_size(progressive.tobytes()) == (31, 17)


@pytest.mark.parametrize("size", [(65_500, 65_500), (0, 0), (1, 96), (65_535, 65_535)])
def test_a_frame_of_another_size_is_never_decoded(
    monkeypatch: pytest.MonkeyPatch, size: tuple[int, int]
) -> None:
    monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("it was decoded"))
    with pytest.raises(MalformedError, match=f"{size[1]} × {size[0]} px in place of 96 × 96"):
        decode_jpeg(claimed(jpeg(noise(96, 96)), *size), height=96, width=96, colour="gray")


@pytest.mark.parametrize(
    "data", [b"", b"\xff\xd8", b"\xff\xd8\xff\xda", b"\xff" * 99, b"GIF89a" * 9]
)
def test_what_is_no_frame(data: bytes) -> None:
    with pytest.raises(MalformedError):
        decode_jpeg(data, height=96, width=96, colour="rgb")


def test_crops_must_be_as_many_as_the_facts_say() -> None:
    info = talking_sample("a", seed=1, frames=5).info
    assert crops_of(jpeg(noise(5 * 96, 96)), info).shape == (5, 96, 96)
    with pytest.raises(MalformedError, match="px in place of"):
        crops_of(jpeg(noise(4 * 96, 96)), info)
    with pytest.raises(MalformedError, match="more than a JPEG holds"):
        crops_of(jpeg(noise(5 * 96, 96)), replace(info, num_frames=60_000))


# Audio


def claiming(data: bytes, samples: int) -> bytes:
    """A FLAC file whose header says another length."""
    facts = int.from_bytes(data[18:26], "big") >> 36 << 36 | samples
    return data[:18] + facts.to_bytes(8, "big") + data[26:]


@pytest.mark.parametrize("samples", [0, 1 << 35, (1 << 36) - 1])
def test_the_length_of_audio_is_known_before_memory_is_taken(samples: int) -> None:
    data = flac(np.ones(640, np.int16))
    assert flac_length(data) == len(decode_flac(data)) == 640
    tracemalloc.start()
    with pytest.raises(MalformedError, match=f"{samples:,} samples"):
        decode_flac(claiming(data, samples))
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()


def test_audio_that_is_shorter_than_its_header_says() -> None:
    data = flac(np.ones(6400, np.int16))
    with pytest.raises(MalformedError):
        decode_flac(claiming(data, 64_000))


@pytest.mark.parametrize("data", [b"", b"fLaC", b"RIFF\xff\xff\xff\xffWAVE", b"\0" * 99])
def test_what_is_no_audio(data: bytes) -> None:
    for decode in (decode_flac, decode_wav):
        with pytest.raises(MalformedError):
            decode(data)


# Shards, reports and folders of clips


def test_a_sparse_member_takes_no_memory(tmp_path: Path) -> None:
    processed("packed")(tmp_path)
    shard = tmp_path / "shard-00000.tar"
    with tarfile.open(shard) as tar:
        at = next(m.offset for m in tar if m.name.endswith("crops.jpg"))
    # The old form of GNU: a map of segments, here one that ends at 60 GB, and nothing stored.
    member = tarfile.TarInfo("a.crops.jpg")
    member.type = tarfile.GNUTYPE_SPARSE
    header = bytearray(member.tobuf(tarfile.GNU_FORMAT))
    header[386 : 386 + 24] = b"%011o\0%011o\0" % (0, 0)
    header[483 : 483 + 12] = (0x80 << 88 | 60_000_000_000).to_bytes(12, "big")
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    shard.write_bytes(shard.read_bytes()[:at] + bytes(header) + b"\0" * 1024)
    error = refusal(lambda: read_processed(shard))
    assert "a.crops.jpg in it is no plain file" in error.cause


@pytest.mark.parametrize("kind", [tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.FIFOTYPE])
def test_members_are_plain_files(tmp_path: Path, kind: bytes) -> None:
    processed("packed")(tmp_path)
    shard = tmp_path / "shard-00000.tar"
    with tarfile.open(shard, "w") as tar:
        member = tarfile.TarInfo("a.flac")
        member.type, member.linkname = kind, "/dev/zero"
        tar.addfile(member)
    assert "no plain file" in refusal(lambda: read_processed(shard)).cause


@pytest.mark.parametrize(
    ("suffix", "data", "told"),
    [
        ("crops.jpg", claimed(jpeg(noise(96, 96)), 65_500, 65_500), "65500 × 65500 px"),
        ("crops.jpg", b"", "it is empty"),
        ("portrait.jpg", jpeg(noise(96, 96)), "96 × 96 px in place of 64 × 64"),
        ("flac", claiming(flac(np.ones(640, np.int16)), 1 << 35), "34,359,738,368 samples"),
        ("json", b"[" * 100_000, "deep"),
        ("json", b"[]", "Expected `object`"),
        ("json", b"{}", "missing required field"),
    ],
)
def test_a_hostile_member_is_told(tmp_path: Path, suffix: str, data: bytes, told: str) -> None:
    processed("packed")(tmp_path)
    shard = tmp_path / "shard-00000.tar"
    replace_member(shard, suffix, data)
    error = refusal(lambda: read_processed(shard))
    assert "shard-00000.tar" in error.cause
    assert told in error.cause


@pytest.mark.parametrize("layout", ["packed", "folders"])
@pytest.mark.parametrize(
    "facts",
    [
        {"num_frames": 1 << 40},
        {"num_frames": 0},
        {"num_frames": "5"},
        {"size_px": -96},
        {"fps": 0},
        {"sample_rate": 8000},
        {"face_px": float("nan")},
        {"confidence": float("inf")},
        {"colour": "cmyk"},
        {"mfcc_shape": 13},
        {"key": "../../etc"},
        {"key": "/etc"},
        {"key": "a\0"},
        {"key": ""},
        {"key": None},
    ],
    ids=str,
)
def test_facts_that_cannot_be(tmp_path: Path, layout: str, facts: dict[str, Any]) -> None:
    processed(layout)(tmp_path)
    reported(tmp_path, **facts)
    error = refusal(lambda: read_processed(tmp_path / "shard-00000.json"))
    assert "shard-00000.json" in error.cause


def test_facts_of_later_versions_do_no_harm() -> None:
    info = talking_sample("a", seed=1).info
    assert SampleInfo.from_dict({**json.loads(info.to_json()), "later": [1]}) == info


# Weights


def weights_with(folder: Path, change: Callable[[torch.Tensor], torch.Tensor], suffix: str) -> Path:
    """Weights of the small network with another first tensor."""
    state = network().state_dict()
    state["0.weight"] = change(state["0.weight"])
    path = folder / f"w{suffix}"
    torch.save(state, path) if suffix == ".pth" else save_file(state, path)
    return path


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda t: t * float("nan"), "not finite"),
        (lambda t: t / 0, "not finite"),
        (lambda t: (t * 100).to(torch.int32), "int32 in place of float32"),
        (lambda t: t > 0, "bool in place of float32"),
        (lambda t: t.to(torch.complex64), "complex64"),
        (lambda t: t.double() * 1e300, "too large"),
    ],
    ids=["nan", "inf", "int", "bool", "complex", "too large"],
)
def test_numbers_that_are_no_weights(tmp_path: Path, change, told: str, suffix: str) -> None:
    error = refusal(lambda: read_weights(weights_with(tmp_path, change, suffix)))
    assert isinstance(error, WeightsError)
    assert told in error.cause
    assert "w" in error.cause


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_weights_in_other_precisions_are_read(tmp_path: Path, dtype: torch.dtype) -> None:
    read_weights(weights_with(tmp_path, lambda t: t.to(dtype), ".safetensors"))


def test_a_network_of_whole_numbers_is_none(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    path.write_bytes(save({"a": torch.arange(3)}))
    assert "whole numbers" in refusal(lambda: load_weights(path)).cause


def test_a_view_that_repeats_its_numbers_without_end(tmp_path: Path) -> None:
    endless = torch.zeros(1).expand(1 << 20, 1 << 20)
    error = refusal(lambda: load_weights(weights_with(tmp_path, lambda _: endless, ".pth")))
    assert "1,099,511,627,776 numbers" in error.cause


@pytest.mark.parametrize("read", [load_weights, load_state])
def test_packed_archives_are_not_unpacked(tmp_path: Path, read: Callable[[Path], object]) -> None:
    path = tmp_path / "w.pth"
    buffer = io.BytesIO()
    torch.save({"a": torch.zeros(1 << 20)}, buffer)
    path.write_bytes(packed_zip(buffer.getvalue()))
    assert path.stat().st_size < 1 << 17
    assert isinstance(refusal(lambda: read(path)), WeightsError)


@pytest.mark.parametrize("length", [1 << 63, (1 << 64) - 1, 10**9])
def test_headers_that_ask_for_memory(tmp_path: Path, length: int) -> None:
    path = tmp_path / "w.safetensors"
    path.write_bytes(struct.pack("<Q", length) + b"{}")
    assert isinstance(refusal(lambda: load_weights(path)), WeightsError)


@pytest.mark.parametrize(
    "calibration",
    [
        "",
        "no JSON",
        "[" * 100_000,
        "null",
        "[1]",
        '{"intercept": 1e999, "log1p_t_stat": 1, "margin": 0, "log_frames": 0}',
        '{"intercept": NaN, "log1p_t_stat": 1, "margin": 0, "log_frames": 0}',
        '{"intercept": "1", "log1p_t_stat": 1, "margin": 0, "log_frames": 0}',
        '{"intercept": 1e308, "log1p_t_stat": 1, "margin": 0, "log_frames": 0}',
        '{"intercept": 1, "log1p_t_stat": 1, "margin": 0, "log_frames": 0, "temperature": 1e-300}',
    ],
)
def test_calibrations_that_are_none(tmp_path: Path, calibration: str) -> None:
    refusal(lambda: of_header({"calibration": calibration}, Path("w.safetensors")))
    (tmp_path / "c.json").write_text(calibration)
    assert isinstance(refusal(lambda: Calibration.load(tmp_path / "c.json")), WeightsError)


@pytest.mark.parametrize(
    "header",
    [
        {"options": "[" * 100_000},
        {"options": "[]"},
        {"options": '{"embedding": 1000000000}'},
        {"pictures": '{"crop": "mouth", "size_px": 1000000, "colour": "gray"}'},
        {"pictures": '{"crop": "mouth", "size_px": 72, "colour": "gray", "std": [0.0]}'},
        {"pictures": "[]"},
    ],
    ids=str,
)
def test_headers_that_make_no_network(tmp_path: Path, header: dict[str, str]) -> None:
    path = tmp_path / "w.safetensors"
    path.write_bytes(save(network().state_dict(), header))
    tracemalloc.start()
    error = refusal(lambda: load_network(model_spec("fcn-cls"), weights=path, device="cpu"))
    tracemalloc.stop()
    assert isinstance(error, WeightsError)
    assert "header" in error.cause


@pytest.mark.parametrize(
    "facts",
    [
        {"embedding_size": "4"},
        {"embedding_size": -1},
        {"embedding_size": 1 << 40},
        {"zero_frames": float("nan")},
        {"bounded": "yes"},
        {"parts": []},
        {"parts": {"video": None}},
        {"video": None},
        {"video": {"crop": "mouth", "size_px": 1 << 40, "colour": "gray"}},
        {"audio": {"kind": "noise"}},
        {"calibration": []},
        {"calibration": {"intercept": "1"}},
        {"licence": 7},
    ],
    ids=str,
)
def test_manifests_that_cannot_be(tmp_path: Path, facts: dict[str, Any]) -> None:
    path = tmp_path / "synctool.json"
    path.write_text(json.dumps({**manifest(), **facts}))
    error = refusal(lambda: read_artefact(path))
    assert isinstance(error, WeightsError)
    assert "synctool.json" in error.cause


# Lists


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("split", '[{"key": ["a"], "person": "p", "split": "train"}]'),
        ("split", '[{"key": "a", "person": "p", "split": "everything"}]'),
        ("split", '[{"key": "a", "person": "p", "split": "train"}, null]'),
        (
            "split",
            '[{"key":"a","person":"p","split":"train"},{"key":"a","person":"q","split":"test"}]',
        ),
        ("split", '{"key": "a"}'),
        ("constants", '{"GRID": NaN}'),
        ("constants", '{"GRID": 1e999}'),
        ("constants", '{"GRID": "0.5"}'),
        ("constants", '{"GRID": [0.5]}'),
        ("constants", "[]"),
        ("labels", "path,offset_ms\na.mp4,1e300\n"),
        ("labels", "path,offset_ms\na.mp4,nan\n"),
        ("labels", "path,offset_ms\n\0,1\n"),
        ("pairs.json", '[{"video_dir": ["a"], "offset": 2, "label": 0}]'),
        ("pairs.json", '[{"video_dir": "a", "offset": 2, "label": 0, "speaker": {"x": 1}}]'),
        ("pairs.json", '[{"video_dir": "a", "offset": 1e999, "label": 0}]'),
        ("pairs.json", f'[{{"video_dir": "a", "offset": {"9" * 5000}, "label": 0}}]'),
        ("pairs.csv", "video_dir,offset,label\n" + "a" * 200_000 + ",2,0\n"),
    ],
)
def test_lists_that_cannot_be(tmp_path: Path, name: str, text: str) -> None:
    reader = BY_NAME[name]
    path = reader.make(tmp_path)
    path.write_text(text)
    assert path.name in refusal(lambda: reader.read(path)).cause


@pytest.mark.parametrize("values", [torch.full((5, 2), float("inf")), torch.zeros(5, 2).int()])
def test_targets_that_cannot_be(tmp_path: Path, values: torch.Tensor) -> None:
    path = tmp_path / "t.safetensors"
    path.write_bytes(save({"a": values}))
    assert "t.safetensors holds no targets" in refusal(lambda: BY_NAME["targets"].read(path)).cause


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"confidence": 0.0', '"confidence": "high"'),
        ('"windows": {}', '"windows": {"x": 1}'),
        ('"frames": {', '"frames": 3, "x": {'),
        ('"label": {', '"label": 5, "x": {'),
        ('"facts": {"seconds": 1.0}', '"facts": []'),
        ('"film": "a.mp4", "key"', '"film": 7, "key"'),
    ],
)
def test_journals_with_hostile_lines(tmp_path: Path, old: str, new: str) -> None:
    path = BY_NAME["journal"].make(tmp_path)
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    assert "journal.jsonl is damaged" in refusal(lambda: read_journal(path)).cause


def test_a_video_under_no_name_is_not_taken_up(tmp_path: Path) -> None:
    path = BY_NAME["journal"].make(tmp_path)
    path.write_text(path.read_text().replace('"key": "a"', '"key": ["a"]'))
    read_journal(path)


@pytest.mark.parametrize(
    ("facts", "held"),
    [
        ({}, 90),
        ({"total": 70}, 0),
        ({"etag": "a\nb"}, 0),
        ({"etag": "\u00e9"}, 0),
        ({"spans": [[-5, 9]]}, 0),
    ],
    ids=str,
)
def test_notes_of_downloads_that_cannot_be(
    tmp_path: Path, facts: dict[str, Any], held: int
) -> None:
    path = BY_NAME["download note"].make(tmp_path)
    path.write_text(json.dumps({**json.loads(path.read_text()), **facts}))
    assert Partial(tmp_path / "a.bin").held == held


@pytest.mark.parametrize(
    "content", [b"", b"PK\5\6" + bytes(18), b"\x93NUMPY\1\0v\0{}", b"\x80\4]."]
)
def test_measured_segments_that_are_none(tmp_path: Path, content: bytes) -> None:
    path = BY_NAME["adapt segments"].make(tmp_path)
    path.write_bytes(content)
    assert "measured.npz is damaged" in refusal(lambda: MeasuredSegments.load(path)).cause


def test_a_column_of_another_shape(tmp_path: Path) -> None:
    path = BY_NAME["adapt segments"].make(tmp_path)
    with np.load(path) as stored:
        columns = dict(stored)
    for changes in (
        {"curve": np.zeros((3, 2))},
        {"moved": np.zeros(2)},
        {"clip": np.array(["a"] * 3)},
    ):
        np.savez(path, **{**columns, **changes})
        assert next(iter(changes)) in refusal(lambda: MeasuredSegments.load(path)).cause


def test_a_folder_in_place_of_a_file(tmp_path: Path) -> None:
    for name in ("split", "targets", "pairs.json", "labels"):
        folder = tmp_path / name.replace(".", "-")
        folder.mkdir()
        path = BY_NAME[name].make(folder)
        path.unlink()
        path.mkdir()
        assert isinstance(refusal(lambda p=path, n=name: BY_NAME[n].read(p)), SyncToolError)
    with pytest.raises(MissingError):
        BY_NAME["split"].read(tmp_path / "nothing.json")
