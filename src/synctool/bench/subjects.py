"""What is tested: a registered backbone, measured as ``synctool detect`` does; or an outside command."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

from synctool.bench.answers import Reply
from synctool.bench.dataset import DatasetItem
from synctool.bench.items import MAX_OFFSET
from synctool.bench.outside_command import CommandSubject
from synctool.bench.printed_answers import AnswerForm
from synctool.comparison.trials import trials
from synctool.errors import OutputError, described
from synctool.measure.detect import Detector
from synctool.measure.encode_clip import encode_clip
from synctool.networks.load import load_model
from synctool.networks.loaded import LoadedModel
from synctool.scoring.right_windows import least_offset, right_windows
from synctool.settings.bench import BenchSettings
from synctool.settings.detect import DetectSettings
from synctool.types import FRAME_MS, Condition
from synctool.workers import limit_torch


class Subject(Protocol):
    """Anything that says of a video by how much its audio is ahead."""

    @property
    def facts(self) -> dict[str, Any]:
        """What it is, for card and journal."""
        ...

    def measure(self, video: Path, truth_ms: float | None) -> Reply:
        """What it says of a video; the truth is only what windows are counted by."""
        ...

    def end(self) -> None:
        """End what it has running."""
        ...


def make_subject(settings: BenchSettings, *, threads: int | None = None) -> Subject:
    """The subject that the settings name.

    Args:
        settings: Which one.
        threads: Most that an exported model computes with; None for half of the cores.

    Raises:
        UsageError: A wrong setting, or no such model.
        MissingError: Weights, or the program of the command, are not here.
        SyncToolError: See ``load_model``.
    """
    if settings.command is not None:
        form = AnswerForm(settings.answer_key, settings.answer_unit, settings.answer_sign)
        return CommandSubject(settings.command, form, timeout_s=settings.timeout)
    model = load_model(
        settings.backbone,
        weights=settings.weights,
        device=settings.device,
        runtime=settings.runtime,
        threads=threads,
        trust=settings.trust,
    )
    if threads is not None:
        limit_torch(threads)
    return BackboneSubject(model)


class BackboneSubject:
    """A loaded model.

    Args:
        model: The model.
    """

    def __init__(self, model: LoadedModel) -> None:
        self._model = model
        self._detector = Detector(DetectSettings(max_offset=MAX_OFFSET), model=model)

    @property
    def facts(self) -> dict[str, Any]:
        """What it is, for card and journal."""
        runtime = self._model.runtime
        return {
            "kind": "backbone",
            "name": self._model.spec.full_name,
            "weights": self._model.weights,
            "runtime": f"{runtime.name} on {runtime.device}",
        }

    def measure(self, video: Path, truth_ms: float | None) -> Reply:
        """Measure a video; whatever fails in the model is a reply."""
        try:
            found = self._detector.arrays(video)
        except (OutputError, MemoryError):
            raise
        except Exception as error:  # a model may fail in any way
            return Reply(error=described(error))
        result = found.result
        windows: dict[int, tuple[int, int]] = {}
        if truth_ms is not None and len(found.volume) // 2 >= least_offset(truth_ms / FRAME_MS):
            windows = right_windows(found.volume, truth_ms / FRAME_MS)
        frames = result.offset_frames
        return Reply(
            offset_ms=None if frames is None else frames * FRAME_MS,
            confidence=result.confidence,
            drift_ms_per_min=result.drift_ms_per_min,
            windows=windows,
            reason=result.reason,
        )

    def measure_clip(self, item: DatasetItem) -> tuple[Reply, float]:
        """Measure a stored clip with its audio moved; also the length of the clip in seconds."""
        assert item.entry.clip is not None
        try:
            encoded = encode_clip(item.entry.clip, [self._model])
            moved = Condition("shift", float(item.moved_frames))
            (trial,) = trials(
                encoded,
                [self._model],
                [moved],
                item.entry.label,
                film=item.entry.name,
                max_offset=MAX_OFFSET,
            )
        except (OutputError, MemoryError):
            raise
        except Exception as error:
            return Reply(error=described(error)), 0.0
        frames = trial.offset_frames if trial.answered else None
        reply = Reply(
            offset_ms=None if frames is None else frames * FRAME_MS,
            confidence=trial.confidence,
            windows=trial.windows,
            error=trial.error,
            reason=trial.reason,
        )
        return reply, trial.duration_s

    def end(self) -> None:
        """Nothing runs."""
