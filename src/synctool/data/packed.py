"""Packed samples: tar shards in the WebDataset convention, small enough to train at scale.

A sample is four files with one key: ``KEY.json`` (facts), ``KEY.crops.jpg`` (the crops one below the
other), ``KEY.portrait.jpg`` (one face, to tell people apart) and ``KEY.flac`` (16 kHz mono).
"""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Container, Iterator
from contextlib import contextmanager
from typing import BinaryIO, cast

from synctool.data.samples import Sample, SampleInfo, crops_of, flac, jpeg, portrait_of
from synctool.data.storage import Storage
from synctool.untrusted.audio_files import decode_flac
from synctool.untrusted.documents import parse_json
from synctool.untrusted.origin import MalformedError, Origin
from synctool.untrusted.regular import MIB
from synctool.untrusted.tars import read_member, tar_errors

LARGEST_PARTS = {
    "json": MIB,
    "crops.jpg": 256 * MIB,
    "portrait.jpg": MIB,
    "flac": 64 * MIB,
}
"""The files of a sample, and the most bytes that each can have."""


class PackedWriter:
    """Collects the samples of a group of videos in one tar file.

    Args:
        file: Where the tar file goes.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = _Counted(file)
        self._tar = tarfile.open(fileobj=cast(BinaryIO, self._file), mode="w|")

    def add(self, sample: Sample) -> SampleInfo:
        """Append a sample."""
        key = sample.info.key
        strip = sample.crops.reshape(-1, *sample.crops.shape[2:])
        for suffix, data in (
            ("json", sample.info.to_json()),
            ("crops.jpg", jpeg(strip)),
            ("portrait.jpg", jpeg(sample.portrait)),
            ("flac", flac(sample.audio)),
        ):
            member = tarfile.TarInfo(f"{key}.{suffix}")
            member.size = len(data)
            self._tar.addfile(member, io.BytesIO(data))
        return sample.info

    def close(self) -> None:
        """Write the end of the tar file."""
        self._tar.close()

    def abandon(self) -> None:
        """Write nothing more, also when the tar file flushes its buffer as it is collected."""
        self._file.abandoned = True

    @property
    def size_bytes(self) -> int:
        """Bytes written so far."""
        return self._file.size

    @property
    def sha256(self) -> str:
        """Checksum of what was written."""
        return self._file.digest.hexdigest()


class _Counted:
    """Passes bytes on, counting and hashing them, so that a shard need not be read again."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.size = 0
        self.digest = hashlib.sha256()
        self.abandoned = False

    def write(self, data: bytes) -> int:
        if self.abandoned:
            return len(data)
        self.size += len(data)
        self.digest.update(data)
        return self._file.write(data)


@contextmanager
def packed_writer(output: Storage, name: str) -> Iterator[PackedWriter]:
    """A writer whose shard appears when the block ends well.

    Raises:
        OutputError: It cannot be written.
    """
    with output.writing(f"{name}.tar") as file:
        writer = PackedWriter(file)
        try:
            yield writer
            writer.close()
        except BaseException:
            writer.abandon()
            raise


def read_packed(
    folder: Storage, name: str, wanted: Container[str] | None = None
) -> Iterator[Sample]:
    """The samples of a shard, in order.

    Args:
        folder: The processed folder.
        name: Name of the shard without ``.tar``.
        wanted: Keys to read, None for all.

    Raises:
        MissingError: The shard is not there.
        SyncToolError: It is damaged.
    """
    parts: dict[str, bytes] = {}
    with shard_origin(folder, name).checked(), folder.open(f"{name}.tar") as file, tar_errors():
        with tarfile.open(fileobj=file, mode="r|") as tar:
            for member in tar:
                key, _, kind = member.name.partition(".")
                if (wanted is not None and key not in wanted) or kind not in LARGEST_PARTS:
                    continue
                parts[kind] = read_member(tar, member, most=LARGEST_PARTS[kind])
                if kind == "flac":
                    yield _unpacked(parts)
                    parts = {}


def shard_origin(folder: Storage, name: str) -> Origin:
    """A shard as messages name it."""
    return Origin(
        f"{name}.tar in {folder.place}",
        remedy="Delete it with its .json file and run preprocess again.",
    )


def _unpacked(parts: dict[str, bytes]) -> Sample:
    if lacking := [kind for kind in LARGEST_PARTS if kind not in parts]:
        raise MalformedError(f"a sample lacks its {lacking[0]}")
    info = SampleInfo.from_dict(parse_json(parts["json"]))
    return Sample(
        info,
        crops_of(parts["crops.jpg"], info),
        portrait_of(parts["portrait.jpg"]),
        decode_flac(parts["flac"]),
    )
