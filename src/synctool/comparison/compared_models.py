"""The models that are compared, and what a worker process begins with.

Apart from the comparison itself, so that workers need not load what only the results need.
"""

from __future__ import annotations

from pathlib import Path

from synctool.comparison.entries import Entry
from synctool.comparison.video_trials import VideoTrials
from synctool.errors import SyncToolError, UsageError
from synctool.networks.load import load_model
from synctool.networks.loaded import LoadedModel
from synctool.settings.compare import CompareSettings
from synctool.settings.values import name_and_value
from synctool.workers import limit_torch


def load_models(settings: CompareSettings, *, threads: int | None = None) -> list[LoadedModel]:
    """The models of a comparison.

    Args:
        settings: Which ones.
        threads: Most that exported ones compute with; None for half of the cores.

    Raises:
        UsageError: No such model, or one of them twice.
        MissingError: Weights or the device are not here.
        WeightsError: Weights do not fit.
    """
    models: list[LoadedModel] = []
    known: set[tuple[str, str]] = set()
    for text in settings.backbones:
        name, weights = name_and_value(text)
        try:
            model = load_model(
                name,
                weights=weights or None,
                device=settings.device,
                runtime=settings.runtime,
                threads=threads,
                trust=settings.trust,
            )
        except SyncToolError as error:
            if name not in error.cause:
                error.cause = f"{name} cannot be compared: {error.cause}"
            raise
        key = (model.spec.full_name, model.weights)
        if key in known:
            raise UsageError(
                f"{key[0]} with the weights {key[1]} is given twice", remedy="Give it once."
            )
        known.add(key)
        models.append(model)
    return models


def make_worker(
    entries: list[Entry],
    settings: CompareSettings,
    scratch: Path | None,
    threads: int,
    thumbnails: int,
) -> VideoTrials:
    """What a worker process begins with.

    Args:
        entries: The videos.
        settings: What to try.
        scratch: Folder for degraded copies.
        threads: Of the models.
        thumbnails: At most so many images of each video.
    """
    models = load_models(settings, threads=threads)
    limit_torch(threads)
    return VideoTrials(
        entries=entries,
        models=models,
        settings=settings,
        scratch=scratch,
        thumbnails=thumbnails,
    )
