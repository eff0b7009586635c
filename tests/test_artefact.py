"""The manifest of exported models: read, written, damaged, foreign, of the future."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from synctool.errors import MissingError, WeightsError
from synctool.plugins.specs import AudioInput, VideoInput
from synctool.weights.artefact import (
    MANIFEST,
    Artefact,
    ArtefactPart,
    digest,
    graph_files,
    is_artefact,
    read_artefact,
    size,
    write_manifest,
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An artefact of one graph and one that is a folder."""
    place = tmp_path / 'a model\'s "folder"'
    place.mkdir()
    (place / "video.onnx").write_bytes(b"graph")
    (place / "audio.openvino").mkdir()
    (place / "audio.openvino" / "model.xml").write_text("<net/>")
    parts = {
        "video": part(place / "video.onnx", {"video": ("batch", 3, "frames", 96, 96)}),
        "audio": part(place / "audio.openvino", {"audio": ("batch", 1, 64, "4*frames")}),
    }
    write_manifest(artefact(parts), place)
    return place


def part(path: Path, inputs: dict[str, tuple[int | str, ...]]) -> ArtefactPart:
    return ArtefactPart(path.name, digest(path), size(path), inputs, ("features",))


def artefact(parts: dict[str, ArtefactPart]) -> Artefact:
    return Artefact(
        format="onnx",
        precision="float16",
        backbone="fcn-cls.rgb112",
        weights="w sha256:0123",
        embedding_size=8,
        receptive_field_frames=13,
        audio_receptive_field_frames=15,
        bounded=True,
        video=VideoInput(crop="face", size_px=96, colour="rgb", mean=(0.1, 0.2, 0.3)),
        audio=AudioInput(kind="logmel64"),
        margin=5,
        reach=16,
        zero_frames=0.15,
        calibration={"intercept": 1.0},
        licence="MIT",
        parts=parts,
        options={"width": 8},
        synctool="0.1.0",
    )


def changed(folder: Path, **facts: Any) -> None:
    path = folder / MANIFEST
    path.write_text(json.dumps({**json.loads(path.read_text()), **facts}))


def test_what_is_written_is_read(folder: Path) -> None:
    back = read_artefact(folder)
    assert back == replace(artefact(dict(back.parts)), folder=folder)
    assert back == read_artefact(folder / MANIFEST)
    assert back.parts["video"].inputs["video"] == ("batch", 3, "frames", 96, 96)
    assert back.bytes == 5 + 6
    assert back.label == "w sha256:0123 (onnx float16)"


def test_the_spec_says_what_the_network_takes(folder: Path) -> None:
    spec = read_artefact(folder).spec()
    assert spec.full_name == "fcn-cls.rgb112"
    assert spec.video.mean == (0.1, 0.2, 0.3) and spec.audio.kind == "logmel64"
    assert (spec.receptive_field_frames, spec.audio_receptive_field_frames) == (13, 15)


def test_other_programs_find_the_words_spelled_out(folder: Path) -> None:
    data = json.loads((folder / MANIFEST).read_text())
    assert data["schema"] == "synctool.export/1"
    assert data["video_fps"] == 25 and data["audio_hz"] == 16000
    assert "ahead" in data["class_to_offset"]


def test_a_folder_without_a_manifest(tmp_path: Path) -> None:
    assert not is_artefact(tmp_path)
    with pytest.raises(MissingError, match=r"no synctool\.json"):
        read_artefact(tmp_path)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '"x"', '{"schema": "synctool.detect/1"}', "\0"]
)
def test_something_else_is_refused(folder: Path, text: str) -> None:
    (folder / MANIFEST).write_text(text)
    with pytest.raises(WeightsError, match=r"synctool\.json"):
        read_artefact(folder)


def test_a_newer_version_is_refused_with_its_name(folder: Path) -> None:
    changed(folder, schema="synctool.export/2", synctool="9.9")
    with pytest.raises(WeightsError, match=r"newer version of synctool \(9\.9\)") as told:
        read_artefact(folder)
    assert "pip install -U" in told.value.remedy


@pytest.mark.parametrize(
    "facts",
    [
        {"video": None},
        {"video": {"crop": "mouth"}},
        {"parts": {"video": {"file": "../../etc/passwd", "sha256": "", "bytes": 0}}},
        {"parts": 3},
        {"margin": "many"},
        {"calibration": 5},
        {"calibration": [1, 2]},
        {"audio": {"kind": "smell"}},
        {"video": {"crop": "ear", "size_px": 72, "colour": "gray"}},
        {"zero_frames": "nothing"},
    ],
)
def test_damaged_facts_are_refused(folder: Path, facts: dict[str, Any]) -> None:
    changed(folder, **facts)
    with pytest.raises(WeightsError, match="damaged"):
        read_artefact(folder)


def test_a_manifest_leads_nowhere_else(folder: Path) -> None:
    data = json.loads((folder / MANIFEST).read_text())
    data["parts"]["video"]["file"] = "../secret.onnx"
    (folder / MANIFEST).write_text(json.dumps(data))
    with pytest.raises(WeightsError, match="no file name"):
        read_artefact(folder)


def test_a_later_field_does_no_harm(folder: Path) -> None:
    changed(folder, something_new={"a": 1})
    assert read_artefact(folder).backbone == "fcn-cls.rgb112"


def test_a_changed_graph_is_seen(folder: Path) -> None:
    known = read_artefact(folder)
    assert graph_files(known, "video").path == folder / "video.onnx"
    assert graph_files(known, "audio").path == folder / "audio.openvino"
    (folder / "video.onnx").write_bytes(b"other")
    (folder / "audio.openvino" / "model.bin").write_bytes(b"more")
    for name in ("video", "audio"):
        with pytest.raises(WeightsError, match="checksum"):
            graph_files(known, name)
    (folder / "video.onnx").unlink()
    with pytest.raises(MissingError, match="is not there"):
        graph_files(known, "video")
    with pytest.raises(MissingError, match="no graph 'head'"):
        graph_files(known, "head")


def test_the_checksum_of_a_folder_knows_its_names(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / f"{name}.bin").write_bytes(b"same")
    assert digest(tmp_path / "a") != digest(tmp_path / "b")
    (tmp_path / "b" / "b.bin").rename(tmp_path / "b" / "a.bin")
    assert digest(tmp_path / "a") == digest(tmp_path / "b")
