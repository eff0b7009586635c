"""Samples read when they are used: the same as those read at once, whatever is kept."""

from __future__ import annotations

import json
import os
import pickle
from pathlib import Path

import numpy as np
import pytest

from fake_samples import talking_sample, write_processed
from synctool.data.pool import SamplePool
from synctool.data.processed import Processed
from synctool.errors import SyncToolError

PARTS = ("crops", "portrait", "audio")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in range(2):
        made = [talking_sample(f"k{number}{i}", seed=i + 10 * number, frames=12) for i in range(3)]
        write_processed(tmp_path, made, number=number)
    return tmp_path


def same(pool: SamplePool, folder: Path, wanted: set[str] | None = None) -> None:
    expected = list(Processed(folder).samples(wanted))
    assert [s.info for s in pool] == pool.infos == [s.info for s in expected]
    for found, sample in zip(pool, expected, strict=True):
        for part in PARTS:
            assert np.array_equal(getattr(found, part), getattr(sample, part))


@pytest.mark.parametrize("cache_mb", [0, 0.2, 100])
@pytest.mark.parametrize("layout", ["packed", "folders"])
def test_the_samples_do_not_depend_on_what_is_kept(
    tmp_path: Path, layout: str, cache_mb: float
) -> None:
    made = [talking_sample(f"k{i}", seed=i, frames=12) for i in range(3)]
    write_processed(tmp_path, made, layout=layout)
    pool = SamplePool(Processed(tmp_path), cache_mb=cache_mb)
    same(pool, tmp_path)
    same(pool, tmp_path)
    same(SamplePool(Processed(tmp_path), {"k1"}, cache_mb=cache_mb), tmp_path, {"k1"})


def test_the_budget_holds_and_the_longest_unused_goes_first(folder: Path) -> None:
    clip = 12 * 96 * 96
    pool = SamplePool(Processed(folder), cache_mb=2.5 * clip / 0.75 / 2**20)  # two and a half
    kept = [pool[i].crops for i in (0, 1)]
    assert pool[0].crops is kept[0]
    _ = pool[2].crops  # in place of the second, which has waited longest
    assert pool[0].crops is kept[0]
    assert pool[1].crops is not kept[1]
    none = SamplePool(Processed(folder), cache_mb=0)
    assert none[0].crops is not none[0].crops


def test_what_is_kept_cannot_be_spoilt(folder: Path) -> None:
    pool = SamplePool(Processed(folder), cache_mb=10)
    with pytest.raises(ValueError, match="read-only"):
        pool[0].crops[0] = 0


def test_a_pool_travels_to_another_process(folder: Path) -> None:
    pool = SamplePool(Processed(folder), cache_mb=10)
    _ = pool[0].crops
    same(pickle.loads(pickle.dumps(pool)), folder)
    # A copy by fork shares the places in open files with the original.
    child = os.fork()
    if child == 0:
        os._exit(0 if all(s.audio.size for s in pool for _ in range(20)) else 1)
    same(SamplePool(Processed(folder), cache_mb=0), folder)
    same(pool, folder)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_a_shard_that_lost_its_end_is_found_at_once(folder: Path) -> None:
    shard = folder / "shard-00001.tar"
    shard.write_bytes(shard.read_bytes()[: shard.stat().st_size // 2])
    with pytest.raises(SyncToolError, match=r"shard-00001\.tar .* is damaged") as caught:
        SamplePool(Processed(folder), cache_mb=0)
    assert "preprocess" in (caught.value.remedy or "")
    SamplePool(Processed(folder), {"k00"}, cache_mb=0)  # the other shard does not matter


def test_a_report_that_lists_more_than_its_shard_has(folder: Path) -> None:
    path = folder / "shard-00000.json"
    report = json.loads(path.read_text())
    report["samples"].append({**report["samples"][0], "key": "gone"})
    path.write_text(json.dumps(report))
    with pytest.raises(SyncToolError, match=r"lacks 1 samples .* such as gone"):
        SamplePool(Processed(folder), cache_mb=0)


def test_a_spoilt_frame_or_audio_names_its_shard(folder: Path) -> None:
    shard = folder / "shard-00000.tar"
    data = bytearray(shard.read_bytes())
    for magic in (b"\xff\xd8\xff", b"fLaC"):
        begin = data.index(magic)
        data[begin : begin + 64] = bytes(64)
    shard.write_bytes(bytes(data))
    pool = SamplePool(Processed(folder), cache_mb=10)
    for part in ("crops", "audio"):
        with pytest.raises(SyncToolError, match=r"shard-00000\.tar .* is damaged"):
            getattr(pool[0], part)
    assert pool[1].crops.shape == (12, 96, 96)
