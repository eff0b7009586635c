"""Packed shards and the split by person."""

from __future__ import annotations

import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fake_samples import talking_sample
from synctool.data.packed import add_sample, read_samples, shards_in
from synctool.data.people import describe_faces, group_people, looks_like
from synctool.data.split import assign
from synctool.errors import MissingError, SyncToolError, UsageError


def test_a_sample_survives_its_shard(tmp_path: Path) -> None:
    path = tmp_path / "shard-00000.tar"
    made = [
        talking_sample("a-00-000000", seed=1, speaker="ä"),
        talking_sample("b", seed=2, frames=13),
    ]
    with tarfile.open(path, "w") as tar:
        for sample in made:
            add_sample(tar, sample)
    for before, after in zip(made, read_samples(path), strict=True):
        assert after.info == before.info
        assert np.array_equal(after.sound, before.sound)
        assert after.mouth.shape == before.mouth.shape
        assert np.abs(after.mouth.astype(int) - before.mouth).mean() < 2  # JPEG
    with tarfile.open(
        path
    ) as tar:  # the WebDataset convention: one key, several suffixes, in a row
        names = tar.getnames()
    assert [n.split(".", 1)[0] for n in names] == ["a-00-000000"] * 4 + ["b"] * 4
    assert {n.split(".", 1)[1] for n in names} == {"json", "mouth.jpg", "face.jpg", "wav"}


def test_a_damaged_shard_says_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "shard-00000.tar"
    with tarfile.open(path, "w") as tar:
        add_sample(tar, talking_sample("a", seed=1))
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(SyncToolError, match="damaged"):
        list(read_samples(path))


def test_unfinished_shards_do_not_count(tmp_path: Path) -> None:
    (tmp_path / "shard-00000.tar").write_bytes(b"")
    with pytest.raises(MissingError, match="no processed films"):
        shards_in(tmp_path)
    (tmp_path / "shard-00000.json").write_text("{}")
    assert len(shards_in(tmp_path)) == 1


def infos(speakers: list[str], **more: str) -> list:
    sample = talking_sample("x", seed=0, frames=12).info
    return [replace(sample, key=f"k{i}", speaker=s, **more) for i, s in enumerate(speakers)]


def test_no_speaker_is_in_two_splits() -> None:
    speakers = [f"s{i % 20}" for i in range(400)]
    faces = np.zeros((400, 8, 8), np.uint8)
    made = assign(infos(speakers), faces, val_fraction=0.2, test_fraction=0.1, seed=4)
    where: dict[str, set[str]] = {}
    for row in made:
        where.setdefault(row.person, set()).add(row.split)
    assert all(len(splits) == 1 for splits in where.values())
    counts = {s: sum(r.split == s for r in made) for s in ("train", "val", "test")}
    assert counts == {"train": 280, "val": 80, "test": 40}
    again = assign(infos(speakers), faces, val_fraction=0.2, test_fraction=0.1, seed=4)
    assert again == made
    other = assign(infos(speakers), faces, val_fraction=0.2, test_fraction=0.1, seed=5)
    assert other != made


def test_the_split_of_a_collection_is_kept() -> None:
    rows = infos(["a", "a"], split="dev") + infos(["b"], split="train") + infos(["c"], split="test")
    made = assign(rows, np.zeros((4, 8, 8), np.uint8), val_fraction=0.5, test_fraction=0.4, seed=0)
    assert [r.split for r in made] == ["val", "val", "train", "test"]


def test_fractions_must_leave_something() -> None:
    with pytest.raises(UsageError, match="nothing to train"):
        assign(
            infos(["a"]), np.zeros((1, 8, 8), np.uint8), val_fraction=0.5, test_fraction=0.5, seed=0
        )


def people_faces(people: int, each: int) -> np.ndarray:
    rng = np.random.default_rng(3)
    base = rng.integers(0, 255, (people, 16, 16)).repeat(4, 1).repeat(4, 2)
    noise = rng.normal(0, 12, (people, each, 64, 64))
    return np.clip(base[:, None] + noise, 0, 255).astype(np.uint8).reshape(-1, 64, 64)


def test_unnamed_people_are_grouped_by_face_and_guarded() -> None:
    faces = people_faces(8, 15)
    groups = group_people(describe_faces(faces)).reshape(8, 15)
    assert all(len(set(row)) == 1 for row in groups)
    assert len({row[0] for row in groups}) == 8
    made = assign(infos([""] * 120), faces, val_fraction=0.25, test_fraction=0, seed=1)
    splits = np.array([r.split for r in made]).reshape(8, 15)
    assert all(len(set(row)) == 1 for row in splits)
    assert (splits[:, 0] == "val").sum() == 2


def test_what_looks_like_a_held_out_face_is_left_out() -> None:
    described = describe_faces(people_faces(4, 10))
    alike = looks_like(described, described[:1])
    assert alike[:10].all() and not alike[10:].any()
    assert not looks_like(described, described[:0]).any()
