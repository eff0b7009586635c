"""A processed folder, whichever layout it has: what is in it, and its samples.

Beside the samples of each group of videos lies a report, ``shard-00000.json``, which lists them and the
videos that failed. A group without a report is unfinished and does not count.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Container, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from synctool.data.folders import read_folders
from synctool.data.packed import read_packed
from synctool.data.samples import Sample, SampleInfo
from synctool.data.storage import Storage, storage
from synctool.errors import MissingError, SyncToolError
from synctool.untrusted.documents import parse_json, typed
from synctool.untrusted.origin import MalformedError, Origin
from synctool.untrusted.regular import MIB

LAYOUTS = ("packed", "folders")
_LARGEST_REPORT = 512 * MIB
TRY_AGAIN = "try_again"
"""Key of a failure that a further run may not meet: a store that did not answer, memory that ran out."""


@dataclass
class ShardReport:
    """What became of the videos of one group.

    Attributes:
        name: Name of the group: ``shard-00000``.
        layout: ``packed`` or ``folders``.
        films: Videos in it.
        film_s: Seconds of video that could be read.
        samples: Facts of its samples, as dictionaries.
        failures: Videos without a sample, each with ``video`` and ``reason``, and with ``try_again`` where
            a further run is to try it again.
        dropped: Clips that would not sync, each with ``video``, ``clip`` and ``reason``.
        size_bytes: Size of the samples.
        sha256: Checksum of the shard; None for folders.
    """

    name: str = ""
    layout: str = "packed"
    films: int = 0
    film_s: float = 0.0
    samples: list[dict[str, Any]] = field(default_factory=list)
    failures: list[dict[str, Any]] = field(default_factory=list)
    dropped: list[dict[str, Any]] = field(default_factory=list)
    size_bytes: int = 0
    sha256: str | None = None

    def to_json(self) -> bytes:
        """The report as a JSON object."""
        return json.dumps(asdict(self), ensure_ascii=False, indent=1).encode()

    @property
    def to_try_again(self) -> list[str]:
        """Videos that failed in a way that may pass."""
        return [failure["film"] for failure in self.failures if TRY_AGAIN in failure]

    @property
    def sample_s(self) -> float:
        """Seconds of its samples."""
        return sum(s["num_frames"] / s["fps"] for s in self.samples)


def report_name(number: int) -> str:
    """Name of a group: its shard is ``NAME.tar``, its report ``NAME.json``."""
    return f"shard-{number:05d}"


def read_report(folder: Storage, name: str) -> ShardReport:
    """The report of a group.

    Raises:
        MissingError: There is none.
        SyncToolError: It is damaged.
    """
    origin = Origin(
        f"{name}.json in {folder.place}",
        remedy="Delete it with its shard and run preprocess again.",
    )
    with origin.checked():
        report: ShardReport = typed(
            parse_json(folder.read(f"{name}.json"), most=_LARGEST_REPORT), ShardReport
        )
        _check(report, name)
    return report


def _check(report: ShardReport, name: str) -> None:
    """What types do not say.

    Raises:
        MalformedError: Something makes no sense.
    """
    if report.name != name or report.layout not in LAYOUTS:
        raise MalformedError(f"it is about {report.name[:80]!r} with layout {report.layout[:80]!r}")
    for facts in report.samples:
        SampleInfo.from_dict(facts)
    for lost in (*report.failures, *report.dropped):
        if not isinstance(lost.get("film"), str):
            raise MalformedError("a failure in it names no video")
    if not 0 <= report.film_s < math.inf or min(report.films, report.size_bytes) < 0:
        raise MalformedError("a figure in it is below 0 or no number")


class Processed:
    """What ``preprocess`` made.

    Args:
        place: The folder: a path, or an address that fsspec knows.

    Raises:
        MissingError: Nothing is processed there.
    """

    def __init__(self, place: str | os.PathLike[str]) -> None:
        self.storage = storage(place)
        self.names = [n.removesuffix(".json") for n in self.storage.names("shard-*.json")]
        if not self.names:
            raise MissingError(
                f"{self.storage.place} holds no processed videos",
                remedy="Make them with: synctool preprocess VIDEOS FOLDER",
            )

    def reports(self) -> Iterator[ShardReport]:
        """The reports of all finished groups, in order."""
        for name in self.names:
            yield read_report(self.storage, name)

    def infos(self) -> Iterator[tuple[str, SampleInfo]]:
        """Place and facts of every sample, in order, without reading the samples.

        The place is ``SHARD.tar#KEY``, or the folder ``KEY``.
        """
        for report in self.reports():
            for facts in report.samples:
                info = SampleInfo.from_dict(facts)
                yield place_of(report, info.key), info

    def samples(self, wanted: Container[str] | None = None) -> Iterator[Sample]:
        """The samples, in order.

        Args:
            wanted: Keys to read, None for all.

        Raises:
            SyncToolError: A shard or clip is damaged or gone.
        """
        for report in self.reports():
            keys = [s["key"] for s in report.samples]
            if wanted is not None and not any(key in wanted for key in keys):
                continue
            if report.layout == "packed":
                lacking = {key for key in keys if wanted is None or key in wanted}
                for sample in read_packed(self.storage, report.name, wanted):
                    lacking.discard(sample.info.key)
                    yield sample
                if lacking:  # the file has lost its end
                    raise SyncToolError(
                        f"{report.name}.tar in {self.storage.place} is damaged: it lacks "
                        f"{len(lacking)} samples that its report lists, such as {min(lacking)}",
                        remedy="Delete it with its .json file and run preprocess again.",
                    )
            else:
                yield from read_folders(self.storage, keys, wanted)


def place_of(report: ShardReport, key: str) -> str:
    """How a pairs file names a sample."""
    return f"{report.name}.tar#{key}" if report.layout == "packed" else key
