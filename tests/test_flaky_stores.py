"""Object stores that fail now and then: what may pass is tried again, and nothing is taken for absent."""

from __future__ import annotations

import errno
import json
from dataclasses import replace
from pathlib import Path

import fsspec
import pytest

import flaky_store
from fake_samples import talking_sample, write_processed
from flaky_store import CALLS, flaky
from synctool.comparison.entries import dataset_entries
from synctool.data import retries
from synctool.data.processed import Processed
from synctool.data.storage import storage
from synctool.errors import MissingError, OutputError, SyncToolError, TransientError
from synctool.exporting.windows import _processed
from synctool.prepare.preprocess import preprocess
from synctool.prepare.videos import collection
from synctool.settings.preprocess import PreprocessSettings
from videos import PlacedFace, face_video

pytestmark = pytest.mark.integration

PLACE = "flaky://bucket/films"
SETTINGS = PreprocessSettings(jobs=1, shard_videos=2)


class ClientPayloadError(Exception):
    """What aiohttp says when a connection breaks: no ``OSError``."""

    __module__ = "aiohttp.client_exceptions"


class HttpError(Exception):
    """What gcsfs says, with a status."""

    __module__ = "gcsfs.retry"

    def __init__(self, code: int) -> None:
        super().__init__(f"status {code}")
        self.code = code


@pytest.fixture(autouse=True)
def _store(monkeypatch: pytest.MonkeyPatch) -> None:
    flaky_store.empty()
    monkeypatch.setattr(retries, "FIRST_WAIT_S", 0.001)


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("videos") / "films"
    folder.mkdir()
    for name, frames in (("1.mp4", 26), ("2.mp4", 27), ("3.mp4", 28)):
        face_video(folder / name, [(frames, lambda i: [PlacedFace(160, 100, 90)])], size=(320, 200))
    return folder


def put(folder: Path, place: str = PLACE) -> None:
    fsspec.register_implementation("flaky", flaky_store.FlakyStore, clobber=True)
    fsspec.filesystem("flaky").put(
        f"{folder}/", f"{place.removeprefix('flaky:/')}/", recursive=True
    )


@pytest.mark.parametrize(
    "error",
    [
        TimeoutError("slow"), ConnectionResetError("gone"), OSError(errno.EIO, "5xx"),
        OSError("no number"), EOFError("cut off"), ClientPayloadError("cut off"), HttpError(503),
        HttpError(429),
    ],
    ids=repr,
)  # fmt: skip
def test_what_may_pass_is_tried_again(error: Exception) -> None:
    folder = storage(PLACE)
    folder.write("a", b"12345")
    with flaky(lambda kind, name, call: error if kind == "read" and call < 4 else None):
        assert folder.read("a") == b"12345"
        assert CALLS["read", "a"] == 4
    with flaky(lambda kind, name, call: error if kind == "read" else None):
        with pytest.raises(TransientError, match=r"cannot read flaky://bucket/films/a"):
            folder.read("a")
        assert CALLS["read", "a"] == retries.ATTEMPTS


@pytest.mark.parametrize(
    "error",
    [PermissionError("no"), FileNotFoundError("no"), IsADirectoryError("no"), HttpError(403)],
    ids=repr,
)
def test_what_will_not_pass_fails_at_once(error: Exception) -> None:
    folder = storage(PLACE)
    folder.write("a", b"12345")
    with flaky(lambda kind, name, call: error if kind == "read" else None):
        with pytest.raises((MissingError, HttpError)) as caught, folder.local("a"):
            pass
        assert CALLS["read", "a"] == 1
    assert not isinstance(caught.value, TransientError)


def test_a_full_disk_of_this_machine_is_no_fault_of_the_file() -> None:
    folder = storage(PLACE)
    folder.write("a", b"12345")
    full = OSError(errno.ENOSPC, "No space left on device")
    with flaky(lambda kind, name, call: full if kind == "read" else None):
        with pytest.raises(OutputError, match="no room"), folder.local("a"):
            pass
        assert CALLS["read", "a"] == 1


def test_a_failure_is_no_absence() -> None:
    folder = storage(PLACE)
    folder.write("shard-0.json", b"{}")
    with flaky(lambda kind, name, call: TimeoutError() if kind == "info" and call < 3 else None):
        assert folder.exists("shard-0.json")
        assert not folder.exists("none")
        assert folder.names("shard-*") == ["shard-0.json"]
    with flaky(lambda kind, name, call: TimeoutError() if kind == "info" else None):
        for ask in (lambda: folder.exists("shard-0.json"), lambda: folder.names("shard-*")):
            with pytest.raises(TransientError):
                ask()


def test_a_write_is_tried_again() -> None:
    folder = storage(PLACE)
    with flaky(lambda kind, name, call: TimeoutError() if kind == "write" and call < 3 else None):
        folder.write("a", b"1")
    assert folder.read("a") == b"1"
    with flaky(lambda kind, name, call: TimeoutError("slow") if kind == "write" else None):
        with pytest.raises(OutputError, match="cannot write"):
            folder.write("a", b"2")
    assert folder.read("a") == b"1"


def test_one_failed_read_costs_no_video(videos: Path, tmp_path: Path) -> None:
    put(videos)
    with flaky(lambda kind, name, call: TimeoutError() if call == 1 else None):
        done = preprocess(PLACE, "flaky://bucket/out", SETTINGS)
    assert (done.samples, done.failures, done.to_try_again) == (3, 0, 0)


def test_a_video_that_could_not_be_read_is_tried_again_by_the_next_run(
    videos: Path, tmp_path: Path
) -> None:
    put(videos)
    out = "flaky://bucket/out"
    whole = preprocess(PLACE, "flaky://bucket/whole", SETTINGS)

    def gone(kind: str, name: str, call: int) -> BaseException | None:
        return TimeoutError("slow") if (kind, name) == ("read", "2.mp4") else None

    with flaky(gone):
        done = preprocess(PLACE, out, SETTINGS)
        assert (done.samples, done.failures, done.to_try_again) == (2, 1, 1)
        [failure] = json.loads(storage(out).read("failures.json"))
        assert failure["film"] == "2.mp4" and "cannot read" in failure["reason"]
        before = storage(out).read("shard-00000.tar")
        still = preprocess(PLACE, out, SETTINGS)
        assert (still.samples, still.to_try_again) == (2, 1)
        assert storage(out).read("shard-00000.tar") == before, "nothing is lost by trying"
    again = preprocess(PLACE, out, SETTINGS)
    assert (again.samples, again.failures, again.to_try_again) == (3, 0, 0)
    assert again.resumed_films == 1, "only the group with the failure is made anew"
    assert replace(again, film_s=0.0, resumed_films=0) == replace(whole, film_s=0.0)
    for name in ("shard-00000.tar", "shard-00001.tar", "failures.json"):
        assert storage(out).read(name) == storage("flaky://bucket/whole").read(name)


def test_memory_that_ran_out_is_tried_again(
    videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from synctool.prepare import shards

    real = shards.VideoClips

    def hungry(video, entry, *rest):
        if entry.name == "3.mp4":
            raise MemoryError
        return real(video, entry, *rest)

    monkeypatch.setattr(shards, "VideoClips", hungry)
    assert preprocess(videos, tmp_path / "out", SETTINGS).to_try_again == 1
    monkeypatch.setattr(shards, "VideoClips", real)
    assert preprocess(videos, tmp_path / "out", SETTINGS).samples == 3


def test_a_failing_store_does_not_decide_what_is_a_video() -> None:
    folder = storage(PLACE)
    folder.write("a.mp4", b"1")
    folder.write("b.dat", (b"G" + bytes(187)) * 8)  # told by its first bytes
    with flaky(lambda kind, name, call: TimeoutError() if kind == "read" else None):
        with pytest.raises(TransientError):
            collection(folder)
    assert [video.name for video in collection(folder).videos] == ["a.mp4", "b.dat"]


# --------------------------------------------------------------------------- splits


def set_in_a_store(tmp_path: Path, split: str | None) -> str:
    local = tmp_path / "set"
    local.mkdir()
    write_processed(local, [talking_sample(k, seed=i, frames=12) for i, k in enumerate("abc")])
    if split is not None:
        (local / "split.json").write_text(split)
    put(local, "flaky://bucket/set")
    return "flaky://bucket/set"


ROWS = json.dumps(
    [
        {"key": "a", "person": "p1", "split": "train"},
        {"key": "b", "person": "p2", "split": "test"},
        {"key": "c", "person": "p3", "split": "val"},
    ]
)


def test_the_split_of_a_set_in_a_store_holds(tmp_path: Path) -> None:
    place = set_in_a_store(tmp_path, ROWS)
    assert [entry.name for entry in dataset_entries(place)] == ["b"]
    assert [entry.label.person for entry in dataset_entries(place)] == ["p2"]
    others, trained = _processed(place)
    assert [clip.info.key for clip in trained] == ["a"]
    assert [clip.info.key for clip in others] == ["b", "c"]


def test_a_split_that_cannot_be_read_is_not_passed_over(tmp_path: Path) -> None:
    place = set_in_a_store(tmp_path, ROWS)
    for failing in ("info", "read"):
        with flaky(
            lambda kind, name, call, failing=failing: (
                TimeoutError() if (kind, name) == (failing, "split.json") else None
            )
        ):
            with pytest.raises(TransientError):
                dataset_entries(place)
            with pytest.raises(TransientError):
                _processed(place)
    fsspec.filesystem("flaky").pipe("/bucket/set/split.json", b"{")
    with pytest.raises(SyncToolError, match=r"set/split\.json is no split"):
        dataset_entries(place)


def test_a_set_in_a_store_without_a_split_is_taken_whole(tmp_path: Path) -> None:
    place = set_in_a_store(tmp_path, None)
    assert len(Processed(place).names) == 1
    assert len(dataset_entries(place)) == 3
