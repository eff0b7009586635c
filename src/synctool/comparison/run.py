"""``compare``: the same videos through several networks, under the same conditions, side by side.

Each video is read once for all networks. With several jobs, processes take videos in turn, and the
trials come out in the order of the videos all the same. With a journal, what is finished stays
finished: a killed comparison goes on where it stopped, and ends with the same numbers.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass, replace
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from synctool._version import __version__
from synctool.comparison.checks import check_settings
from synctool.comparison.compared_models import load_models, make_worker
from synctool.comparison.degradations import parse_degradations
from synctool.comparison.entries import Entry, entries_for
from synctool.comparison.video_trials import VideoDone, VideoTrials, failed_rows
from synctool.cores import usable_cores
from synctool.evaluation.metrics import Metric, summarise
from synctool.journal import Journal, RowKind
from synctool.measure.detectors import needed
from synctool.measure.thumbnails import Thumbnail
from synctool.networks.loaded import LoadedModel
from synctool.runtimes.protocol import Runtime
from synctool.settings.compare import CompareSettings
from synctool.temporaries import scratch_folder
from synctool.types import COMPARE_SCHEMA, Condition, Trial
from synctool.workers import Died, core_share, in_order, in_workers

__all__ = [
    "CompareProgress",
    "Comparison",
    "VideoFacts",
    "compare",
    "run_trials",
    "summarise",
]
TRIALS: RowKind[Trial] = RowKind(
    schema="synctool.compare-journal/1",
    command="synctool compare",
    counted="trials",
    to_dict=Trial.to_dict,
    from_dict=Trial.from_dict,
    shape=Trial,
)
"""Rows of the journal of ``compare``."""
_AHEAD_VIDEOS = 16
"""A worker may be ahead of the slowest by so many videos for each job: finished videos wait in memory."""


@dataclass(frozen=True)
class CompareProgress:
    """How far a comparison is.

    Attributes:
        videos_done: Videos that are finished.
        videos_total: All videos.
        resumed: Videos that an earlier run had finished.
        failed: Finished videos of which something failed.
        video: The video last heard of.
        step: What is done with it: ``reading``, or a perturbation with its level; "" when finished.
        share: How far that is, 0..1; None where it is not known.
    """

    videos_done: int
    videos_total: int
    resumed: int
    failed: int
    video: str = ""
    step: str = ""
    share: float | None = None


@dataclass(frozen=True)
class VideoFacts:
    """A finished video.

    Attributes:
        video: Its name.
        trials: Its trials.
        shared_s: Seconds that its networks shared: decoding, faces, crops.
        thumbnails: Frames of it; none where an earlier run had finished it.
        resumed: Whether an earlier run had finished it.
    """

    video: str
    trials: tuple[Trial, ...]
    shared_s: float
    thumbnails: tuple[Thumbnail, ...]
    resumed: bool


@dataclass(frozen=True)
class Comparison:
    """What ``compare`` found.

    Attributes:
        trials: Every video under every condition through every network.
        metrics: What they add up to.
    """

    trials: tuple[Trial, ...]
    metrics: tuple[Metric, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON: keys that ``compare --json`` has, too."""
        return {
            "schema": COMPARE_SCHEMA,
            "metrics": [metric.to_dict() for metric in self.metrics],
            "trials": [trial.to_dict() for trial in self.trials],
        }

    def to_dataframe(self) -> Any:
        """A ``pandas.DataFrame`` with a row for every trial, and the columns of ``compare --csv``.

        Raises:
            MissingError: pandas is not installed.
        """
        return _notebook().comparison_dataframe(self)

    def plot(self, video: str | None = None) -> Any:
        """The models' offsets over time as a ``matplotlib.figure.Figure``.

        Args:
            video: Of which video, as it was given; None for the first.

        Raises:
            MissingError: matplotlib is not installed.
            UsageError: There is no such video.
        """
        return _notebook().comparison_figure(self, video)

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        return _notebook().comparison_html(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Comparison:
        """A comparison from what ``to_dict`` or ``compare --json`` gave.

        Raises:
            ValueError: It is no comparison of this schema, or something is missing.
        """
        if data.get("schema") != COMPARE_SCHEMA:
            raise ValueError(f"no {COMPARE_SCHEMA}")
        lacking = [name for name in ("trials", "metrics") if name not in data]
        if lacking:
            raise ValueError(f"Comparison lacks {', '.join(lacking)}")
        return cls(
            trials=tuple(Trial.from_dict(entry) for entry in data["trials"]),
            metrics=tuple(Metric.from_dict(entry) for entry in data["metrics"]),
        )


def _notebook() -> Any:
    """The room of the reports stands above this one."""
    return import_module("synctool.report.notebook")


def run_trials(
    entries: Sequence[Entry],
    settings: CompareSettings,
    *,
    journal: str | os.PathLike[str] | None = None,
    on_progress: Callable[[CompareProgress], None] | None = None,
    on_video: Callable[[VideoFacts], None] | None = None,
    thumbnails: int = 0,
) -> Iterator[Trial]:
    """Try videos with several networks, one video after the other.

    What fails for a video, or for one network with it, becomes a trial that says why. Leaving the
    iteration early ends the workers; finished videos are in the journal.

    Args:
        entries: The videos, see ``video_entries`` and ``dataset_entries``.
        settings: What to try.
        journal: File that keeps finished videos; a second run with the same settings goes on with it.
            A video that failed because memory or disk ran out, or because its worker died, is not kept.
        on_progress: Called as the work goes on.
        on_video: Called with each video before its trials are given.
        thumbnails: At most so many images of each video.

    Yields:
        Trials, in the order of the videos: ``plain`` first, then moved, pieces, degraded; within a
        condition in the order of the networks.

    Raises:
        UsageError: Settings that make no sense, or another run's journal.
        MissingError: A network's weights, the face detector's, or the device are not here.
        WeightsError: Weights do not fit.
        OutputError: The journal cannot be written; what is in it stays.
    """
    entries = list(entries)
    check_settings(settings, entries)
    if any(entry.clip is None for entry in entries):
        needed(settings.detector)
    models = load_models(settings)
    networks = [(model.spec.full_name, model.weights) for model in models]
    with ExitStack() as stack:
        noted = None
        if journal is not None:
            decides = _decides(settings, networks, [model.runtime for model in models])
            noted = stack.enter_context(Journal(journal, decides, TRIALS))
        keys = [_key(entry) for entry in entries]
        waiting = [i for i, key in enumerate(keys) if noted is None or key not in noted]
        state = _State(len(entries), len(entries) - len(waiting), on_progress)
        scratch = None
        if settings.perturb and waiting:
            scratch = stack.enter_context(scratch_folder())
        made = stack.enter_context(
            closing(_made(entries, waiting, models, settings, scratch, state, thumbnails))
        )
        del models  # several workers have their own

        def finished() -> Iterator[tuple[int, VideoDone]]:
            for number, done in made:
                entry = entries[number]
                if isinstance(done, Died):
                    why = failed_rows(networks, Condition(), entry, done.reason)
                    done = VideoDone(tuple(why), lasting=False)
                if noted is not None and done.lasting:
                    noted.add(keys[number], entry.name, done.trials, {"shared_s": done.shared_s})
                state.finished(entry.name, done)
                yield number, done

        unfinished = set(waiting)
        in_turn = in_order(waiting, finished())
        state.tell()
        for i, entry in enumerate(entries):
            resumed = i not in unfinished
            if noted is not None and resumed:
                record = noted.read(keys[i])
                done = VideoDone(record.rows, float(record.facts.get("shared_s", 0.0)))
                state.known_failure(done)
            else:
                _, done = next(in_turn)
            if on_video:
                facts = VideoFacts(entry.name, done.trials, done.shared_s, done.thumbnails, resumed)
                on_video(facts)
            yield from done.trials


def _made(
    entries: Sequence[Entry],
    waiting: Sequence[int],
    models: list[LoadedModel],
    settings: CompareSettings,
    scratch: Path | None,
    state: _State,
    thumbnails: int,
) -> Generator[tuple[int, VideoDone | Died]]:
    """Videos as they are finished, in this process or in several."""
    jobs = min(settings.jobs or usable_cores(), len(waiting))
    if jobs <= 1:
        work = None
        for number in waiting:
            work = work or VideoTrials(
                entries=entries,
                models=models,
                settings=settings,
                scratch=scratch,
                thumbnails=thumbnails,
            )
            yield number, work(number, partial(state.told, entries[number].name))
        return
    models.clear()
    yield from in_workers(
        partial(make_worker, list(entries), settings, scratch, core_share(jobs), thumbnails),
        waiting,
        workers=jobs,
        ahead=jobs * _AHEAD_VIDEOS,
        on_told=lambda number, told: state.told(entries[number].name, told),
    )


class _State:
    """Counts, and tells them."""

    def __init__(
        self, total: int, resumed: int, on_progress: Callable[[CompareProgress], None] | None
    ) -> None:
        self._now = CompareProgress(resumed, total, resumed, 0)
        self._on_progress = on_progress

    def tell(self) -> None:
        if self._on_progress:
            self._on_progress(self._now)

    def told(self, video: str, told: tuple[str, float | None]) -> None:
        step, share = told
        self._now = replace(self._now, video=video, step=step, share=share)
        self.tell()

    def known_failure(self, done: VideoDone) -> None:
        self._now = replace(self._now, failed=self._now.failed + done.failed)

    def finished(self, video: str, done: VideoDone) -> None:
        now = self._now
        self._now = replace(
            now,
            videos_done=now.videos_done + 1,
            failed=now.failed + done.failed,
            video=video,
            step="",
            share=None,
        )
        self.tell()


def _decides(
    settings: CompareSettings, networks: Sequence[tuple[str, str]], runtimes: Sequence[Runtime]
) -> dict[str, Any]:
    """All that trials depend on, but the videos themselves."""
    external = {"allow_external": True} if settings.allow_external else {}
    return {
        **external,
        "synctool": __version__,
        "networks": [list(network) for network in networks],
        "shifts": "".join((settings.shift or "").split()),
        "pieces_s": float(settings.pieces),
        "perturb": [list(p) for p in parse_degradations(settings.perturb)]
        if settings.perturb
        else [],
        "max_offset": settings.max_offset,
        "detector": settings.detector,
        "runtimes": [f"{runtime.name} on {runtime.device}" for runtime in runtimes],
        "streams": asdict(settings.streams),
        "max_faces": settings.max_faces,
        "seed": settings.seed,
    }


def _key(entry: Entry) -> str:
    facts = json.dumps([entry.identity, asdict(entry.label)], sort_keys=True)
    return hashlib.sha256(facts.encode("ascii")).hexdigest()


def compare(
    videos: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] = (),
    settings: CompareSettings | None = None,
    *,
    labels: str | os.PathLike[str] | None = None,
    dataset: str | os.PathLike[str] | None = None,
    journal: str | os.PathLike[str] | None = None,
    on_progress: Callable[[CompareProgress], None] | None = None,
    on_trial: Callable[[Trial], None] | None = None,
    **changes: Any,
) -> Comparison:
    """Compare models on videos, or on a dataset that knows its own truth.

    Args:
        videos: Videos, folders or globs.
        settings: What to compare, and how; None for the defaults. With more than one of ``jobs`` a script of
            its own must call this below ``if __name__ == "__main__"``.
        labels: ``truth.csv`` with the true offsets of the videos.
        dataset: A dataset in place of videos; see ``dataset_entries``.
        journal: File that keeps finished videos, so that a second run continues.
        on_progress: Called as the work goes on.
        on_trial: Called with each trial.
        changes: Settings by name that differ from ``settings``: see ``CompareSettings``.

    Returns:
        The trials, and what they add up to.

    Raises:
        SyncToolError: See ``run_trials``, ``video_entries`` and ``dataset_entries``.

    Example:
        >>> found = synctool.compare("videos/", backbones=["syncnet", "fcn-cls"])  # doctest: +SKIP
        >>> [(t.film, t.backbone, t.offset_frames) for t in found.trials]  # doctest: +SKIP
    """
    wanted = CompareSettings.of(settings, changes)
    paths = [videos] if isinstance(videos, (str, os.PathLike)) else list(videos)
    entries = entries_for(
        [os.fspath(path) for path in paths], wanted, labels=labels, dataset=dataset, asked=changes
    )
    trials = []
    for trial in run_trials(entries, wanted, journal=journal, on_progress=on_progress):
        trials.append(trial)
        if on_trial:
            on_trial(trial)
    return Comparison(tuple(trials), tuple(summarise(trials, by=wanted.by)))
