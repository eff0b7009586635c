"""Samples read when they are used, so that a training set may be larger than the memory.

What was read is kept as far as a budget goes, the longest unused given up first. What is read never
depends on what is kept, so a run is the same with any budget.
"""

from __future__ import annotations

import os
import tarfile
from collections import OrderedDict
from collections.abc import Callable, Container, Sequence
from typing import Any, BinaryIO, overload

import numpy as np

from synctool.data.folders import read_folders
from synctool.data.packed import LARGEST_PARTS, shard_origin
from synctool.data.processed import Processed
from synctool.data.samples import Sample, SampleInfo, crops_of, portrait_of
from synctool.errors import SyncToolError
from synctool.untrusted.audio_files import decode_flac
from synctool.untrusted.origin import MalformedError
from synctool.untrusted.tars import check_member, tar_errors

_OPEN_SHARDS = 16
_AUDIO_SHARE = 0.25
"""Of the budget. A clip lends its audio to others' noise, so audio is asked for more often; they are
about a seventh of a clip's bytes."""


class PooledSample:
    """A sample whose video and audio are read when they are asked for; else as ``Sample``."""

    __slots__ = ("_index", "_pool", "info")

    def __init__(self, info: SampleInfo, pool: SamplePool, index: int) -> None:
        self.info = info
        self._pool = pool
        self._index = index

    @property
    def crops(self) -> np.ndarray:
        """uint8 ``[T, S, S]``, or ``[T, S, S, 3]`` in RGB; not to be written to."""
        return self._pool.part(self._index, "crops")

    @property
    def portrait(self) -> np.ndarray:
        """uint8 ``[64, 64]``."""
        return self._pool.part(self._index, "portrait")

    @property
    def audio(self) -> np.ndarray:
        """int16 ``[N]``; not to be written to."""
        return self._pool.part(self._index, "audio")


class SamplePool(Sequence[PooledSample]):
    """The samples of a processed folder, in its order.

    Args:
        processed: The folder.
        wanted: Keys of the samples, None for all.
        cache_mb: Memory for what was read, in MiB, in this process; a copy in another process has
            as much.

    Raises:
        SyncToolError: A shard is damaged, or lacks samples that its report lists.
    """

    def __init__(
        self,
        processed: Processed,
        wanted: Container[str] | None = None,
        *,
        cache_mb: float,
    ) -> None:
        self._storage = processed.storage
        self._samples: list[PooledSample] = []
        self._places: list[_Place] = []
        for report in processed.reports():
            infos = [SampleInfo.from_dict(facts) for facts in report.samples]
            infos = [i for i in infos if wanted is None or i.key in wanted]
            if not infos:
                continue
            packed = report.layout == "packed"
            members = self._members(report.name) if packed else {}
            lacking = [i.key for i in infos if packed and not _whole(members.get(i.key, {}))]
            if lacking:
                raise self._damaged(report.name, f"it lacks {len(lacking)} samples that its report "
                                    f"lists, such as {lacking[0]}")  # fmt: skip
            for info in infos:
                self._samples.append(PooledSample(info, self, len(self._places)))
                self._places.append(_Place(report.name, members.get(info.key) if packed else None))
        budget = cache_mb * 2**20
        self._kept = {
            "crops": _Kept(budget * (1 - _AUDIO_SHARE)),
            "audio": _Kept(budget * _AUDIO_SHARE),
        }
        self._open: OrderedDict[str, BinaryIO] = OrderedDict()
        self._process = os.getpid()

    @property
    def infos(self) -> list[SampleInfo]:
        """Facts about each."""
        return [sample.info for sample in self._samples]

    def __len__(self) -> int:
        return len(self._samples)

    @overload
    def __getitem__(self, index: int) -> PooledSample: ...
    @overload
    def __getitem__(self, index: slice) -> list[PooledSample]: ...
    def __getitem__(self, index: int | slice) -> PooledSample | list[PooledSample]:
        return self._samples[index]

    def part(self, index: int, name: str) -> np.ndarray:
        """``crops``, ``portrait`` or ``audio`` of a sample.

        Raises:
            MissingError: Its shard is gone.
            SyncToolError: It is damaged.
        """
        kept = self._kept.get(name)
        found = kept.get(index) if kept else None
        if found is None:
            found = self._read(index, name)
            found.flags.writeable = False
            if kept is not None:
                kept.put(index, found)
        return found

    def _read(self, index: int, name: str) -> np.ndarray:
        place, info = self._places[index], self._samples[index].info
        if place.members is None:
            return getattr(self._from_folder(info), name)
        with shard_origin(self._storage, place.shard).checked():
            data = self._bytes(place.shard, *place.members[_FILES[name]])
            return _PARTS[name](data, info)

    def _from_folder(self, info: SampleInfo) -> Sample:
        return next(read_folders(self._storage, [info.key]))

    def _bytes(self, shard: str, begin: int, size: int) -> bytes:
        file = self._shard(shard)
        file.seek(begin)
        data = file.read(size)
        if len(data) < size:
            raise MalformedError("it ends too early")
        return data

    def _shard(self, name: str) -> BinaryIO:
        if self._process != os.getpid():
            # A copy made by fork shares the places in its files with the original.
            self._open, self._process = OrderedDict(), os.getpid()
        file = self._open.pop(name, None) or self._storage.open(f"{name}.tar")
        self._open[name] = file
        if len(self._open) > _OPEN_SHARDS:
            self._open.popitem(last=False)[1].close()
        return file

    def _members(self, name: str) -> dict[str, dict[str, tuple[int, int]]]:
        """Where the files of each key begin in a shard, and their sizes, by kind."""
        found: dict[str, dict[str, tuple[int, int]]] = {}
        with self._storage.open(f"{name}.tar") as file:
            length = file.seek(0, os.SEEK_END)
            file.seek(0)
            origin = shard_origin(self._storage, name)
            with origin.checked(), tar_errors(), tarfile.open(fileobj=file, mode="r:") as tar:
                for member in tar:
                    key, _, kind = member.name.partition(".")
                    if kind in LARGEST_PARTS:
                        check_member(member, most=LARGEST_PARTS[kind])
                    if member.offset_data + member.size <= length:
                        found.setdefault(key, {})[kind] = (member.offset_data, member.size)
                    vars(tar)["members"] = []  # tarfile remembers all it has seen
        return found

    def _damaged(self, shard: str, reason: str) -> SyncToolError:
        return shard_origin(self._storage, shard).wrong(reason)

    def __getstate__(self) -> dict[str, Any]:
        kept = {name: _Kept(own.budget) for name, own in self._kept.items()}
        return {**vars(self), "_open": OrderedDict(), "_process": -1, "_kept": kept}


class _Place:
    """Where a sample is: its group, and in a shard the begin and size of its files by kind."""

    __slots__ = ("members", "shard")

    def __init__(self, shard: str, members: dict[str, tuple[int, int]] | None) -> None:
        self.shard = shard
        self.members = members


class _Kept:
    """Arrays by number, the longest unused given up first."""

    def __init__(self, budget: float) -> None:
        self.budget = budget
        self._arrays: OrderedDict[int, np.ndarray] = OrderedDict()
        self._bytes = 0

    def get(self, index: int) -> np.ndarray | None:
        found = self._arrays.get(index)
        if found is not None:
            self._arrays.move_to_end(index)
        return found

    def put(self, index: int, array: np.ndarray) -> None:
        if array.nbytes > self.budget:
            return
        self._arrays[index] = array
        self._bytes += array.nbytes
        while self._bytes > self.budget:
            self._bytes -= self._arrays.popitem(last=False)[1].nbytes


_FILES = {"crops": "crops.jpg", "portrait": "portrait.jpg", "audio": "flac"}


_PARTS: dict[str, Callable[[bytes, SampleInfo], np.ndarray]] = {
    "crops": crops_of,
    "portrait": lambda data, _: portrait_of(data),
    "audio": lambda data, _: decode_flac(data),
}


def _whole(members: dict[str, tuple[int, int]]) -> bool:
    return all(kind in members for kind in _FILES.values())
