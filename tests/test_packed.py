"""Samples on disk in both layouts, and the split by person."""

from __future__ import annotations

import errno
import gc
import json
import tarfile
import wave
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fake_samples import talking_sample, write_processed
from synctool.data.packed import packed_writer
from synctool.data.processed import Processed
from synctool.data.samples import SampleInfo, crops_of
from synctool.data.storage import storage
from synctool.errors import MissingError, OutputError, SyncToolError, UsageError
from synctool.prepare.people import describe_faces, group_people, looks_like
from synctool.prepare.split import Assignment, Clip, assign, check


def damaged(folder: Path, layout: str) -> None:
    """Spoil the first sample of a processed folder."""
    path = folder / ("shard-00000.tar" if layout == "packed" else "a/frames/000003.jpg")
    path.write_bytes(path.read_bytes()[:500])


@pytest.mark.parametrize("layout", ["packed", "folders"])
def test_a_sample_survives(tmp_path: Path, layout: str) -> None:
    made = [
        talking_sample("a-00-000000", seed=1, speaker="ä"),
        talking_sample("deep/er/b", seed=2, frames=13),
    ]
    write_processed(tmp_path, made, layout=layout)
    folder = Processed(tmp_path)
    for before, after in zip(made, folder.samples(), strict=True):
        assert replace(after.info, mfcc_shape=None) == before.info
        assert np.array_equal(after.audio, before.audio)
        assert after.crops.shape == before.crops.shape
        assert np.abs(after.crops.astype(int) - before.crops).mean() < 2  # JPEG
    assert [i.key for _, i in folder.infos()] == [s.info.key for s in made]
    assert [s.info.key for s in folder.samples({"deep/er/b"})] == ["deep/er/b"]


@pytest.mark.parametrize("layout", ["packed", "folders"])
def test_colour_survives(tmp_path: Path, layout: str) -> None:
    sample = talking_sample("a", seed=1, frames=12)
    crops = np.zeros((12, 32, 32, 3), np.uint8)
    crops[..., 0] = 200  # red
    info = replace(sample.info, crop="face", size_px=32, colour="rgb")
    write_processed(tmp_path, [replace(sample, info=info, crops=crops)], layout=layout)
    (after,) = Processed(tmp_path).samples()
    assert after.crops.shape == (12, 32, 32, 3)
    assert np.abs(after.crops.astype(int) - crops).max() < 8


def test_shards_follow_the_webdataset_convention(tmp_path: Path) -> None:
    made = [talking_sample("a-00-000000", seed=1), talking_sample("deep/b", seed=2)]
    write_processed(tmp_path, made)
    with tarfile.open(tmp_path / "shard-00000.tar") as tar:
        names = tar.getnames()
    assert [n.split(".", 1)[0] for n in names] == ["a-00-000000"] * 4 + ["deep/b"] * 4
    assert {n.split(".", 1)[1] for n in names} == {"json", "crops.jpg", "portrait.jpg", "flac"}


def test_the_webdataset_library_reads_our_shards(tmp_path: Path) -> None:
    webdataset = pytest.importorskip("webdataset")
    write_processed(tmp_path, [talking_sample("a", seed=1), talking_sample("deep/b", seed=2)])
    url = (tmp_path / "shard-00000.tar").as_uri()
    rows = list(webdataset.WebDataset(url, shardshuffle=False))
    assert [row["__key__"] for row in rows] == ["a", "deep/b"]
    facts = json.loads(rows[0]["json"])
    crops = crops_of(rows[0]["crops.jpg"], SampleInfo.from_dict(facts))
    assert crops.shape == (facts["num_frames"], facts["size_px"], facts["size_px"])


def test_folders_are_what_other_programs_expect(tmp_path: Path) -> None:
    write_processed(tmp_path, [talking_sample("id1/v/c", seed=1, frames=13)], layout="folders")
    clip = tmp_path / "id1/v/c"
    facts = json.loads((clip / "info.json").read_text())
    assert {
        "video_path",
        "num_frames",
        "mfcc_shape",
        "fps",
        "sample_rate",
        "speaker",
        "track",
    } <= set(facts)
    assert facts["num_frames"] == len(list((clip / "frames").glob("*.jpg"))) == 13
    assert list(np.load(clip / "mfcc.npy").shape) == facts["mfcc_shape"] == [13, 4 * 13]
    with wave.open(str(clip / "audio.wav")) as file:
        assert (file.getframerate(), file.getnframes()) == (16000, 13 * 640)


@pytest.mark.parametrize("layout", ["packed", "folders"])
def test_a_damaged_sample_says_what_to_do(tmp_path: Path, layout: str) -> None:
    write_processed(tmp_path, [talking_sample("a", seed=1)], layout=layout)
    damaged(tmp_path, layout)
    with pytest.raises(SyncToolError, match="damaged") as caught:
        list(Processed(tmp_path).samples())
    assert "preprocess" in caught.value.remedy


def test_a_shard_that_lost_its_end_is_damaged(tmp_path: Path) -> None:
    write_processed(tmp_path, [talking_sample("a", seed=1), talking_sample("b", seed=2)])
    path = tmp_path / "shard-00000.tar"
    with tarfile.open(path) as tar:
        second = tar.getmember("b.json").offset
    path.write_bytes(path.read_bytes()[:second])
    with pytest.raises(SyncToolError, match="lacks 1 samples that its report lists, such as b"):
        list(Processed(tmp_path).samples())


@pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning")
def test_a_shard_on_a_full_disk_says_nothing_more_when_it_is_collected(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="No space left"):
        with packed_writer(storage(tmp_path), "shard-00000") as writer:
            writer.add(talking_sample("a", seed=1, frames=12))
            raise OSError(errno.ENOSPC, "No space left on device")
    del writer
    gc.collect()
    assert list(tmp_path.iterdir()) == []


def test_unfinished_shards_do_not_count(tmp_path: Path) -> None:
    (tmp_path / "shard-00000.tar").write_bytes(b"")
    with pytest.raises(MissingError, match="no processed videos"):
        Processed(tmp_path)
    write_processed(tmp_path, [talking_sample("a", seed=1)], number=1)
    assert len(list(Processed(tmp_path).samples())) == 1


def clips(speakers: list[str], *, split: str = "", films: list[str] | None = None) -> list[Clip]:
    return [
        Clip(f"k{i}", f"k{i}", speaker, "made", split, films[i] if films else f"f{i}", 40)
        for i, speaker in enumerate(speakers)
    ]


def together(*groups: list[Clip]) -> list[Clip]:
    """Groups of clips with keys and videos of their own."""
    return [
        replace(clip, key=f"{number}-{clip.key}", film=f"{number}-{clip.film}")
        for number, group in enumerate(groups)
        for clip in group
    ]


def test_no_speaker_is_in_two_splits() -> None:
    made = [
        assign(
            clips([f"s{i % 20}" for i in range(400)]), val_fraction=0.2, test_fraction=0.1, seed=n
        )
        for n in (4, 4, 5)
    ]
    where: dict[str, set[str]] = {}
    for row in made[0].assignments:
        where.setdefault(row.person, set()).add(row.split)
    assert all(len(splits) == 1 for splits in where.values())
    counts = Counter(row.split for row in made[0].assignments)
    assert counts == {"train": 280, "val": 80, "test": 40}
    assert made[0] == made[1] != made[2]


def test_the_split_of_a_collection_is_kept() -> None:
    rows = together(
        clips(["a", "a"], split="val"), clips(["b"], split="train"), clips(["c"], split="test")
    )
    made = assign(rows, val_fraction=0.5, test_fraction=0.4, seed=0)
    assert [r.split for r in made.assignments] == ["val", "val", "train", "test"]
    assert (made.drawn, made.torn) == (0, 0)


def test_a_person_in_two_parts_of_a_collection_is_held_out_as_strictly_as_possible() -> None:
    rows = together(
        clips(["a", "b"], split="train"), clips(["a"], split="test"), clips(["a"], split="val")
    )
    rows.append(replace(rows[0], key="undecided", split="", film="x"))
    made = assign(rows, val_fraction=0.1, test_fraction=0.1, seed=0)
    splits = [r.split for r in made.assignments]
    assert splits == ["left out", "train", "test", "left out", "test"]
    assert made.torn == 2


def test_people_who_share_a_video_stay_together() -> None:
    speakers = [f"s{i:02d}" for i in range(40) for _ in range(5)]
    films = [f"talk{i // 10}" if i % 5 == 0 else f"f{i}" for i in range(200)]
    for seed in range(5):
        made = assign(clips(speakers, films=films), val_fraction=0.2, test_fraction=0.2, seed=seed)
        splits = [row.split for row in made.assignments]
        assert Counter(splits) == {"train": 120, "val": 40, "test": 40}
        assert all(len(set(splits[at : at + 10])) == 1 for at in range(0, 200, 10))


def test_a_video_in_two_splits_is_seen() -> None:
    rows = clips(["a", "b"], films=["talk", "talk"])
    with pytest.raises(SyncToolError, match="video made/talk stands in train and in val"):
        check(rows, [Assignment("k0", "a", "train"), Assignment("k1", "b", "val")])
    with pytest.raises(SyncToolError, match="person a stands"):
        check(clips(["a", "a"]), [Assignment("k0", "a", "train"), Assignment("k1", "a", "val")])
    check(rows, [Assignment("k0", "a", "left out"), Assignment("k1", "b", "val")])


def test_unnamed_people_without_faces_are_told_apart_by_video() -> None:
    films = [f"f{i // 4}" for i in range(80)]
    rows = clips([""] * 80, films=films)
    made = assign(rows, val_fraction=0.25, test_fraction=0, seed=2)
    assert made.assignments[5].person == "made/film-f1"
    splits = [row.split for row in made.assignments]
    assert Counter(splits) == {"train": 60, "val": 20}
    assert all(len(set(splits[at : at + 4])) == 1 for at in range(0, 80, 4))


@pytest.mark.parametrize(("val", "test"), [(0.5, 0.5), (-0.1, 0.1), (0.9, 0.0)])
def test_fractions_must_leave_something(val: float, test: float) -> None:
    with pytest.raises(UsageError, match="to train on"):
        assign(clips(["a"]), val_fraction=val, test_fraction=test, seed=0)


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
    made = assign(clips([""] * 120), val_fraction=0.25, test_fraction=0, seed=1, faces=faces)
    splits = np.array([r.split for r in made.assignments]).reshape(8, 15)
    assert all(len(set(row)) == 1 for row in splits)
    assert (splits[:, 0] == "val").sum() == 2


def test_faces_are_those_of_the_unnamed_alone() -> None:
    rows = together(clips(["ann", "bo"]), clips([""] * 60))
    made = assign(rows, val_fraction=0.25, test_fraction=0, seed=1, faces=people_faces(4, 15))
    assert [r.person for r in made.assignments[:2]] == ["made/ann", "made/bo"]
    unnamed = {r.person for r in made.assignments[2:]}
    assert unnamed == {f"made/face-{group:03d}" for group in range(4)}


def test_what_looks_like_a_held_out_face_is_left_out() -> None:
    described = describe_faces(people_faces(4, 10))
    alike = looks_like(described, described[:1])
    assert alike[:10].all() and not alike[10:].any()
    assert not looks_like(described, described[:0]).any()
