"""Readers of files, a good file for each, and ways to spoil it; a benchmark takes them, too."""

from __future__ import annotations

import io
import json
import os
import random
import struct
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any
from unittest.mock import patch

import httpx
import numpy as np
import torch
from rich.console import Console
from safetensors.torch import save
from torch import nn

from fake_samples import talking_sample, write_processed
from synctool.adapting.measured_segments import MeasuredSegments
from synctool.adapting.work_folder import WorkFolder
from synctool.bench.answers import Answer
from synctool.bench.card import Card, PartInputs, read_card
from synctool.bench.comparing import compare_cards
from synctool.cache import other_folders
from synctool.comparison.labels import read_labels
from synctool.comparison.run import TRIALS
from synctool.data.auxiliary_targets import read_targets
from synctool.data.pool import SamplePool
from synctool.data.processed import Processed
from synctool.data.storage import storage
from synctool.data.unit_targets import read_units
from synctool.downloads.catalogue import read_catalogue
from synctool.downloads.partial import Partial
from synctool.downloads.receipt import Receipt
from synctool.journal import Journal
from synctool.networks.loaded import of_header
from synctool.prepare import preprocess
from synctool.prepare.pair_files import read_pairs
from synctool.prepare.pairs import read_split
from synctool.report.bench_card import print_card, print_compared
from synctool.runtimes.trust import remember, remembered
from synctool.scoring.confidence import Calibration
from synctool.settings.detect import DetectSettings
from synctool.settings.sources import resolve
from synctool.training.checkpoint import load_state
from synctool.training.data import read_constants
from synctool.types import Trial
from synctool.weights import transformers_folder
from synctool.weights.artefact import read_artefact
from synctool.weights.files import fit, load_weights
from synctool.weights.hub_tensors import hub_tensors

SETTINGS = {"k": 15}


@dataclass(frozen=True)
class Reader:
    """A reader, and the file that it reads.

    Attributes:
        name: What it reads.
        make: Makes a good file, and whatever it needs beside it, in an empty folder.
        read: Reads it.
        errors: What it may raise beside ``SyncToolError``, by its contract.
    """

    name: str
    make: Callable[[Path], Path]
    read: Callable[[Path], object]
    errors: tuple[type[Exception], ...] = ()


def network() -> nn.Module:
    """A network small enough to be written a thousand times."""
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))


def read_weights(path: Path) -> None:
    """Read weights, their header too, and put them into the network."""
    loaded = load_weights(path)
    fit(network(), loaded, backbone="tiny")
    of_header(loaded.metadata, path)


def written(name: str, content: Callable[[], bytes]) -> Callable[[Path], Path]:
    """What makes a file of one name."""

    def make(folder: Path) -> Path:
        (folder / name).write_bytes(content())
        return folder / name

    return make


def _as_json(value: object) -> Callable[[], bytes]:
    return lambda: json.dumps(value).encode()


def _state() -> dict[str, torch.Tensor]:
    torch.manual_seed(1)
    return network().state_dict()


def _header() -> dict[str, str]:
    calibration = json.dumps(Calibration(-3.0, 3.0, log_frames=0.1).to_dict())
    return {"calibration": calibration, "zero_frames": "0.5"}


def _pytorch(value: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer)
    return buffer.getvalue()


def processed(layout: str) -> Callable[[Path], None]:
    """What makes a processed folder with one short clip."""

    def make(folder: Path) -> None:
        write_processed(folder, [talking_sample("a", seed=1, frames=5)], layout=layout)

    return make


def _member(layout: str, name: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        processed(layout)(folder)
        return folder / name

    return make


def _root(path: Path) -> Path:
    return next(p for p in (path.parent, *path.parents) if list(p.glob("shard-*.json")))


def read_processed(path: Path) -> None:
    """All samples of a folder, read in both ways."""
    folder = Processed(_root(path))
    list(folder.samples())
    for sample in SamplePool(folder, cache_mb=1):
        _ = (sample.crops, sample.portrait, sample.audio)


def _pairs(suffix: str) -> Callable[[Path], Path]:
    row = {"video_dir": "shard-00000.tar#a", "offset": 2, "label": 0}

    def make(folder: Path) -> Path:
        processed("packed")(folder)
        path = folder / f"pairs{suffix}"
        text = json.dumps([row]) if suffix == ".json" else "video_dir,offset,label\na,2,0\n"
        path.write_text(text)
        return path

    return make


def _journal(folder: Path) -> Path:
    path = folder / "journal.jsonl"
    with Journal(path, SETTINGS, TRIALS) as journal:
        journal.add("a", "a.mp4", [Trial(film="a.mp4", backbone="tiny")], {"seconds": 1.0})
    return path


def read_journal(path: Path) -> None:
    """Open a journal, and read the video in it if it is still there."""
    with Journal(path, SETTINGS, TRIALS) as journal:
        if "a" in journal:
            journal.read("a")


def manifest() -> dict[str, Any]:
    """Facts of an exported model."""
    part = {"file": "g.onnx", "sha256": "0" * 64, "bytes": 1, "inputs": {"x": ["B"]}}
    return {
        **{"schema": "synctool.export/1", "format": "onnx", "precision": "float32"},
        **{"backbone": "tiny", "weights": "tiny", "embedding_size": 4, "margin": 0, "reach": 0},
        **{"receptive_field_frames": 5, "audio_receptive_field_frames": 5, "bounded": True},
        "video": {"crop": "mouth", "size_px": 72, "colour": "gray"},
        "audio": {"kind": "logmel64"},
        **{"zero_frames": 0.0, "calibration": None, "licence": "MIT"},
        "parts": {"video": {**part, "outputs": ["y"]}},
    }


def _manifest_file(folder: Path) -> Path:
    return written("synctool.json", _as_json(manifest()))(folder)


def _receipt(folder: Path) -> Path:
    (folder / ".synctool").mkdir()
    facts = {"a": {"size": 1, "mtime_ns": 2, "sha256": "0" * 64}}
    note = {"schema": "synctool.receipt/1", "files": facts, "unpacked": {"b": 3}}
    return written(".synctool/receipt.json", _as_json(note))(folder)


def _at(variable: str, path: Path, read: Callable[[], object]) -> object:
    """Read with an environment variable that says where to look."""
    with patch.dict(os.environ, {variable: str(path)}):
        return read()


def _trust_store() -> bytes:
    facts = {"path": "a/model", "since": "2026-01-01T00:00:00Z"}
    return json.dumps({"schema": "synctool.trust/2", "models": {"0" * 64: facts}}).encode()


def _read_trust(path: Path) -> object:
    def read() -> None:
        remembered()
        remember({"1" * 64: "b"})

    return _at("SYNCTOOL_TRUST_FILE", path, read)


def _hub_folder(folder: Path) -> None:
    (folder / "model-1.safetensors").write_bytes(save(_state()))
    places = dict.fromkeys(_state(), "model-1.safetensors")
    index = {"metadata": {"total_size": 100}, "weight_map": places}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    config = {"model_type": "hubert", "hidden_size": 768, "vision": {"hidden_size": 768}}
    (folder / "config.json").write_text(json.dumps(config))


def _hub_file(name: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        _hub_folder(folder)
        return folder / name

    return make


class _Config:
    """As one of the ``transformers`` library."""

    model_type = "hubert"
    hidden_size = 768


def _read_config(path: Path) -> None:
    fields = transformers_folder._read_json(path)
    for table in (fields, transformers_folder._section(fields, "vision") or {}):
        config: Any = _Config()
        transformers_folder._compare(table, {"hidden_size": 768}, own=config, name="HuBERT")


def _download_note(folder: Path) -> Path:
    (folder / ".a.bin.part").write_bytes(bytes(100))
    note = {
        **{"schema": "synctool.partial/1", "url": "https://example.org/a", "total": 200},
        **{"etag": '"1"', "last_modified": None, "spans": [[0, 50], [60, 100]]},
    }
    return written(".a.bin.part.json", _as_json(note))(folder)


def _read_note(path: Path) -> None:
    """What a download asks of its note before it goes on."""
    partial = Partial(path.with_name("a.bin"))
    assert not partial.complete, "half of the bytes are not there"
    assert 0 <= partial.held <= 100
    if partial.total is not None:
        missing = sum(stop - start for start, stop in partial.gaps(partial.total))
        assert missing + partial.held == partial.total
    httpx.Headers({"If-Range": partial.if_range or ""})
    partial.begin("https://example.org/a", checked=True)


_PLAN = {"settings": {"size": 96}, "films": 1, "listing": "0", "duplicates": {"b.mp4": "a.mp4"}}


def _read_plan(path: Path) -> None:
    out = storage(path.parent)
    preprocess._refuse_another(out, preprocess._read_plan(out), _PLAN)


def _card() -> Card:
    answer = Answer(
        "1", "offsets", "", "face 1", 0.0, None, 3.0, offset_ms=0.0, windows={5: (1, 2)}
    )
    inputs = [PartInputs("offsets", "sha256:0", 1)]
    signature = {"brightness_db": [1.0, 2.0]}
    return Card.of({"name": "one"}, inputs, [answer], quick=False, signature=signature)


def _read_card(path: Path) -> None:
    """Read a card, show it, and compare it with a good one."""
    console = Console(file=io.StringIO(), width=100)
    card = read_card(path)
    print_card(card, console=console)
    print_compared(compare_cards(_card(), card), console=console)


def _segments(folder: Path) -> Path:
    columns = {f.name: np.zeros(3) for f in fields(MeasuredSegments)}
    MeasuredSegments(**{**columns, "curve": np.zeros((3, 31))}).save(folder / "measured.npz")
    return folder / "measured.npz"


def _work(folder: Path) -> Path:
    WorkFolder(folder / "work", {"seed": 1})
    return folder / "work" / "adapt.json"


_SPLIT = [{"key": "a", "person": "p", "split": "train"}]
_CATALOGUE = b"""
[a]
kind = "dataset"
summary = "A"
homepage = "https://example.org"
licence = "MIT"
[[a.files]]
path = "y"
urls = ["https://example.org/y"]
"""
_TARGETS = {"a": torch.zeros(5, 2)}
_UNITS = {"a": torch.tensor([0, 2, 1], dtype=torch.int16)}

READERS = (
    Reader("weights", written("w.safetensors", lambda: save(_state(), _header())), read_weights),
    Reader("weights.pth", written("w.pth", lambda: _pytorch(_state())), read_weights),
    Reader(
        "calibration",
        written("c.json", _as_json(Calibration(-3.0, 3.0, log_frames=0.1).to_dict())),
        Calibration.load,
    ),
    Reader("manifest", _manifest_file, read_artefact),
    Reader("report", _member("packed", "shard-00000.json"), read_processed),
    Reader("shard", _member("packed", "shard-00000.tar"), read_processed),
    Reader("clip facts", _member("folders", "a/info.json"), read_processed),
    Reader("clip frame", _member("folders", "a/frames/000002.jpg"), read_processed),
    Reader("clip audio", _member("folders", "a/audio.wav"), read_processed),
    Reader("targets", written("t.safetensors", lambda: save(_TARGETS)), read_targets),
    Reader("units", written("u.safetensors", lambda: save(_UNITS, {"units": "3"})), read_units),
    Reader("pairs.json", _pairs(".json"), lambda path: read_pairs(path, Processed(path.parent))),
    Reader("pairs.csv", _pairs(".csv"), lambda path: read_pairs(path, Processed(path.parent))),
    Reader("split", written("split.json", _as_json(_SPLIT)), read_split),
    Reader("constants", written("c.json", _as_json({"GRID": 0.5})), read_constants),
    Reader("labels", written("l.csv", lambda: b"path,offset_ms\na.mp4,80\n"), read_labels),
    Reader("journal", _journal, read_journal),
    Reader("state", written("last.state.pt", lambda: _pytorch({"step": 1})), load_state),
    Reader(
        "settings",
        written("s.toml", lambda: b"[detect]\nmax_offset = 20\n"),
        lambda path: resolve(DetectSettings, file=path),
    ),
    Reader(
        "catalogue", written("c.toml", lambda: _CATALOGUE), read_catalogue, (ValueError, OSError)
    ),
    Reader("trust store", written("trusted.json", _trust_store), _read_trust),
    Reader(
        "hub index",
        _hub_file("model.safetensors.index.json"),
        lambda path: hub_tensors(path.parent),
    ),
    Reader("hub config", _hub_file("config.json"), _read_config),
    Reader("download note", _download_note, _read_note),
    Reader(
        "places",
        written("places.json", _as_json({"a": ["/b"]})),
        lambda path: _at("SYNCTOOL_CACHE", path.parent, lambda: other_folders("a")),
    ),
    Reader("plan", written(preprocess.PLAN, _as_json(_PLAN)), _read_plan),
    Reader(
        "bench card",
        written("card.json", lambda: json.dumps(_card().to_dict()).encode()),
        _read_card,
    ),
    Reader("adapt segments", _segments, MeasuredSegments.load),
    Reader("adapt facts", _work, lambda path: WorkFolder(path.parent, {"seed": 1})),
    Reader("receipt", _receipt, lambda path: Receipt.read(path.parent.parent)),
)

Spoil = Callable[[bytes, random.Random], bytes]
"""Other content in place of good content."""

_ODD = (
    *(None, True, -1, 0, 1 << 70, 1.5, 1e308, float("nan"), float("inf")),
    *("", "x", "\0", "\ud800", "../..", "x" * 5000, [], {}, [[]], {"a": None}, [1, "a"]),
)


def _deep(data: bytes, chance: random.Random) -> bytes:
    levels = chance.choice((100, 1_000, 100_000))
    return chance.choice(
        (b"[" * levels + b"]" * levels, b'{"a":' * levels, b"a = " + b"[" * levels)
    )


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Everything within a document that could be something else."""
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield value, key
            yield from _places(value[key])


def _odd_value(data: bytes, chance: random.Random) -> bytes:
    """Another value at one place of a document, of a line of one, of the header of safetensors, or of a
    member of a tar file; for what is none of these, another document."""
    if data[257:262] == b"ustar":
        return _in_tar(data, chance)
    if data[8:10] == b'{"':
        end = 8 + int.from_bytes(data[:8], "little")
        header = _in_document(data[8:end], chance)
        return len(header).to_bytes(8, "little") + header + data[end:]
    lines = data.splitlines(keepends=True)
    if len(lines) > 1 and all(line.startswith(b"{") for line in lines):
        at = chance.randrange(len(lines))
        lines[at] = _in_document(lines[at], chance) + b"\n"
        return b"".join(lines)
    return _in_document(data, chance)


def _in_tar(data: bytes, chance: random.Random) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=io.BytesIO(data)) as old, tarfile.open(fileobj=made, mode="w") as new:
        members = old.getmembers()
        at = chance.randrange(len(members))
        for number, member in enumerate(members):
            content = old.extractfile(member).read()
            if number == at:
                ways = (_in_document, _flipped, _large_number, _deep)
                content = chance.choice(ways)(content, chance)
            member.size = len(content)
            new.addfile(member, io.BytesIO(content))
    return made.getvalue()


def _in_document(data: bytes, chance: random.Random) -> bytes:
    try:
        value = json.loads(data)
    except ValueError:
        return json.dumps(chance.choice(_ODD)).encode()
    facts = value.get("__metadata__") if isinstance(value, dict) else None
    if (
        facts and "calibration" in facts and chance.random() < 0.5
    ):  # documents within the header of weights
        facts["calibration"] = _in_document(facts["calibration"].encode(), chance).decode()
        return json.dumps(value).encode()
    holder = {"": value}
    outer, key = chance.choice(list(_places(holder)))
    if chance.random() < 0.3 and isinstance(outer, dict) and outer is not holder:
        del outer[key]
    else:
        outer[key] = chance.choice(_ODD)
    return json.dumps(holder.get("")).encode()


def _flipped(data: bytes, chance: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(chance.choice((1, 4, 16))):
        if changed:
            at = chance.randrange(min(len(changed), chance.choice((64, 1024, len(changed)))))
            changed[at] = chance.choice((0, 0xFF, 0x7F, 0x80, chance.randrange(256)))
    return bytes(changed)


def _large_number(data: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(max(1, min(len(data), 512)))
    number = chance.choice((2**31 - 1, 2**32 - 1, 2**63 - 1, 2**36, 60_000_000_000))
    packed = struct.pack(chance.choice("<>") + "Q", number)[: chance.choice((4, 8))]
    return data[:at] + packed + data[at + len(packed) :]


SPOILS: dict[str, Spoil] = {
    "empty": lambda data, chance: b"",
    "cut off": lambda data, chance: data[: chance.randrange(max(1, len(data)))],
    "random bytes": lambda data, chance: chance.randbytes(chance.choice((1, 8, 600, 5000))),
    "bytes changed": _flipped,
    "large number": _large_number,
    "value changed": _odd_value,
    "another value changed": _odd_value,
    "values changed": lambda data, chance: _odd_value(_odd_value(data, chance), chance),
    "nested deeply": _deep,
    "twice": lambda data, chance: data + data,
    "mark in front": lambda data, chance: chance.choice((b"\xef\xbb\xbf", b"\xff\xfe")) + data,
}


def spoiled(path: Path, how: str, chance: random.Random) -> None:
    """Spoil a file in place."""
    path.write_bytes(SPOILS[how](path.read_bytes(), chance))


def replace_by_pipe(path: Path) -> None:
    """Put a pipe that nobody writes into in place of a file."""
    path.unlink()
    os.mkfifo(path)


def reported(folder: Path, **facts: Any) -> None:
    """Change facts of the first sample in the report of a processed folder."""
    path = folder / "shard-00000.json"
    report = json.loads(path.read_text())
    report["samples"][0] |= facts
    path.write_text(json.dumps(report))


def replace_member(shard: Path, suffix: str, data: bytes) -> None:
    """Give another content to one kind of member of a shard."""
    with tarfile.open(shard) as tar:
        found = {m.name: tar.extractfile(m).read() for m in tar}
    with tarfile.open(shard, "w") as tar:
        for name, old in found.items():
            content = data if name.endswith(suffix) else old
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))


def packed_zip(data: bytes) -> bytes:
    """The same archive of PyTorch with compressed members."""
    buffer = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(data)) as old,
        zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for name in old.namelist():
            new.writestr(name, old.read(name))
    return buffer.getvalue()
