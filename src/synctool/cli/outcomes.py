"""What became of the videos of a run: results stay on the disk and are read back one at a time."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from synctool.errors import SyncToolError
from synctool.untrusted.documents import typed
from synctool.untrusted.origin import Origin

if TYPE_CHECKING:
    from synctool.journal import Journal
    from synctool.report.html.shots import Shot
    from synctool.report.outcome import Outcome
    from synctool.types import DetectResult


class Outcomes(Sequence["Outcome"]):
    """Outcomes in the order of the videos; failures are small, and kept.

    Args:
        journal: Where the results are; None keeps them in memory, for a single one.
    """

    def __init__(self, journal: Journal[DetectResult] | None = None) -> None:
        self._journal = journal
        self._run = secrets.token_hex(8)
        self._entries: list[Outcome | str] = []
        self._keys: dict[str, str] = {}
        self._shots: dict[str, tuple[Shot, ...]] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        entry = self._entries[index]
        return self._read(entry) if isinstance(entry, str) else entry

    def key(self, name: str) -> str:
        """The key of a video; take it before the video is read.

        One that cannot be known again has a key of this run, so that no other goes on with it.
        """
        from synctool.measure.result_journal import video_key

        return video_key(name) or f"{self._run} {name}"

    def finished(self, key: str) -> DetectResult | None:
        """The result that an earlier run has noted; None where there is none, or it is damaged."""
        if self._journal is None or key not in self._journal:
            return None
        try:
            _noted_shots(self._journal, key)
            return self._read(key)
        except SyncToolError:
            return None

    def note(self, outcome: DetectResult, key: str, *, shots: Sequence[Shot] = ()) -> None:
        """Note a result as soon as it is there; it is on the disk when this returns.

        Args:
            outcome: The result.
            key: Of its video.
            shots: Thumbnails of it.

        Raises:
            OutputError: It cannot be written.
        """
        if self._journal is None:
            self._shots[outcome.input] = tuple(shots)
        else:
            facts = {"shots": [_plain(shot) for shot in shots]}
            self._journal.add(key, outcome.input, [outcome], facts)

    def add(self, outcome: Outcome, key: str) -> None:
        """Take the outcome of the next video: a result that was noted, by this run or an earlier one, or a
        failure.
        """
        from synctool.report.outcome import Failure

        if isinstance(outcome, Failure) or self._journal is None:
            self._entries.append(outcome)
        else:
            self._entries.append(key)
            self._keys[outcome.input] = key

    def _read(self, key: str) -> DetectResult:
        if self._journal is None:
            raise KeyError(key)
        (result,) = self._journal.read(key).rows
        return result

    @property
    def shots(self) -> Mapping[str, Sequence[Shot]]:
        """Small images by video, read when they are asked for."""
        return self._shots if self._journal is None else _Shots(self._journal, self._keys)


class _Shots(Mapping[str, "Sequence[Shot]"]):
    def __init__(self, journal: Journal[DetectResult], keys: Mapping[str, str]) -> None:
        self._journal, self._keys = journal, keys

    def __getitem__(self, name: str) -> Sequence[Shot]:
        return _noted_shots(self._journal, self._keys[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self._keys)

    def __len__(self) -> int:
        return len(self._keys)


def _plain(shot: Shot) -> dict[str, Any]:
    return {**vars(shot), "jpeg": base64.b64encode(shot.jpeg).decode("ascii")}


def _noted_shots(journal: Journal[DetectResult], key: str) -> tuple[Shot, ...]:
    """The small images that are noted with a result.

    Raises:
        SyncToolError: The journal is damaged.
    """
    from synctool.report.html.shots import Shot

    with Origin(str(journal.path), "Delete it, and run again.").checked():
        return typed(journal.facts(key).get("shots", ()), tuple[Shot, ...])
