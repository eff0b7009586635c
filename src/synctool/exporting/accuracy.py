"""How often a network and its exported model are right on a labelled set: the same videos through both,
as ``compare`` does it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from synctool.comparison.entries import Entry
from synctool.comparison.video_trials import VideoTrials
from synctool.errors import ExportError
from synctool.evaluation.bootstrap import mean_interval
from synctool.exporting.formats.checks import AccuracyChange, Share
from synctool.networks.loaded import LoadedModel
from synctool.settings.compare import CompareSettings
from synctool.settings.shared import DEFAULT_DETECTOR
from synctool.types import Trial

WINDOWS = (5, 15)
"""Frames of the windows that are reported."""
RIGHT_FRAMES = 1.0
_BEFORE, _AFTER = "before", "after"

_Cell = tuple[Literal["windows", "clips"], int]


@dataclass
class _Pairs:
    """Shares that are right, clip by clip: before, after, and who is in the clip."""

    rows: list[tuple[float, float, str]] = field(default_factory=list)

    def change(self, cell: _Cell) -> AccuracyChange:
        people = [person for _, _, person in self.rows]

        def share(values: Sequence[float]) -> Share:
            found = mean_interval(values, people)
            return Share(found.value, found.low, found.high)

        # A change lies in -1..1, and an interval is of shares in 0..1.
        moved = share([(after - before + 1) / 2 for before, after, _ in self.rows])
        return AccuracyChange(
            of=cell[0],
            frames=cell[1],
            clips=len(self.rows),
            people=len(set(people)),
            before=share([before for before, _, _ in self.rows]),
            after=share([after for _, after, _ in self.rows]),
            change=Share(*(2 * end - 1 for end in (moved.mean, moved.low, moved.high))),
        )


def accuracy_change(
    before: LoadedModel,
    after: LoadedModel,
    entries: Sequence[Entry],
    *,
    detector: str = DEFAULT_DETECTOR,
    on_video: Callable[[int, int], None] | None = None,
) -> tuple[AccuracyChange, ...]:
    """Measure both on all videos.

    Videos that the network itself fails on take no part.

    Args:
        before: The network in PyTorch.
        after: The exported model.
        entries: Videos with their true offsets; those without take no part.
        detector: Face detector for videos.
        on_video: Told how many videos are done, and how many there are.

    Returns:
        Windows of 5 and of 15 frames, and whole clips; what could not be measured is left out.

    Raises:
        ExportError: The exported model fails on a video that PyTorch can do.
    """
    models = [replace(before, weights=_BEFORE), replace(after, weights=_AFTER)]
    settings = CompareSettings(detector=detector, device="cpu")
    work = VideoTrials(entries=entries, models=models, settings=settings)
    pairs: dict[_Cell, _Pairs] = {}
    for number, entry in enumerate(entries):
        found = {trial.weights: trial for trial in work(number, lambda told: None).trials}
        ours, theirs = found[_BEFORE], found[_AFTER]
        if ours.error is None and theirs.error is not None:
            raise ExportError(
                f"the exported model fails on {entry.name}: {theirs.error}",
                remedy="Try another format or precision.",
            )
        if ours.error is None:
            shares = _shares(ours), _shares(theirs)
            for cell in shares[0].keys() & shares[1].keys():
                row = (shares[0][cell], shares[1][cell], entry.label.person or entry.name)
                pairs.setdefault(cell, _Pairs()).rows.append(row)
        if on_video:
            on_video(number + 1, len(entries))
    cells = sorted(pairs, key=lambda cell: (cell[0] == "clips", cell[1]))
    return tuple(pairs[cell].change(cell) for cell in cells)


def _shares(trial: Trial) -> Mapping[_Cell, float]:
    """What of one video is right."""
    shares: dict[_Cell, float] = {}
    for frames in WINDOWS:
        right, of = trial.windows.get(frames, (0, 0))
        if of:
            shares["windows", frames] = right / of
    if trial.error_frames is not None:
        shares["clips", 0] = float(abs(trial.error_frames) <= RIGHT_FRAMES)
    return shares
