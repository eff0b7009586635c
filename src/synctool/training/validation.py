"""How good a network is on people it was not trained on, during training and at its end."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from synctool.data.augmentation.backgrounds import Backgrounds
from synctool.data.pool import PooledSample
from synctool.data.samples import Sample
from synctool.files import write_text
from synctool.plugins.specs import ModelSpec
from synctool.training.calibration import CalibrationReport, calibrate, facts, known_segments
from synctool.training.checkpoint import metadata, save_weights
from synctool.training.multiway import multiway
from synctool.weights.files import fit, load_weights

_log = logging.getLogger(__name__)
CALIBRATION = "calibration.json"
"""Reliability of the best weights."""
_VALIDATED_CLIPS = 96
"""At most so many clips of a source are validated after each epoch."""

_LEAST_FRAMES = 5
_DECIDES = f"_head_{_LEAST_FRAMES}"
"""Ending of the figure by which epochs are compared: windows of 5 frames."""

AnySample = Sample | PooledSample


class Validation:
    """The people that are kept out of the training.

    Args:
        spec: What is trained, with the frames that it is really given.
        samples: Clips of theirs; there may be none.
        true_offset: A clip's own offset in frames.
        person: Who speaks in a clip.
        tolerance: How many frames from a clip's offset an answer still counts as right.
        backgrounds: Recorded rooms, noises and music for the calibration.
    """

    def __init__(
        self,
        *,
        spec: ModelSpec,
        samples: Sequence[AnySample],
        true_offset: Callable[[AnySample], float],
        person: Callable[[AnySample], str],
        tolerance: Callable[[AnySample], float] = lambda _: 1.0,
        backgrounds: Backgrounds | None = None,
    ) -> None:
        self._spec = spec
        self._samples = samples
        self._true_offset = true_offset
        self._person = person
        self._tolerance = tolerance
        self._backgrounds = backgrounds
        self._calibrated: tuple[dict[str, Tensor], CalibrationReport] | None = None
        if samples and all(sample.info.num_frames < _LEAST_FRAMES for sample in samples):
            _log.warning(
                "all clips kept for validation are shorter than %d frames: the last epoch counts as "
                "the best",
                _LEAST_FRAMES,
            )

    def score(self, network: nn.Module) -> dict[str, float]:
        """Multi-way accuracy per source, and the mean of the sources as ``score``.

        Args:
            network: In evaluation mode, on the processor.

        Returns:
            Nothing where there are no people to validate with, and no ``score`` where all of their
            clips are shorter than the 5 frames that it is of.
        """
        sources: dict[str, list[AnySample]] = {}
        for sample in self._samples:
            sources.setdefault(sample.info.source, []).append(sample)
        metrics: dict[str, float] = {}
        for source, clips in sorted(sources.items()):
            step = -(-len(clips) // _VALIDATED_CLIPS)
            figures = multiway(
                network,
                clips[::step],
                spec=self._spec,
                true_offset=self._true_offset,
            )
            metrics |= {f"{source}_{name}": value for name, value in figures.items()}
        judged = [metrics[name] for s in sources if (name := f"{s}{_DECIDES}") in metrics]
        if judged:
            metrics["score"] = sum(judged) / len(judged)
        return metrics

    def calibrate(self, path: Path, network: nn.Module) -> None:
        """Calibrate the confidence of weights, and store it with them.

        Args:
            path: The weights.
            network: Takes them up; on the processor.
        """
        loaded = load_weights(path)
        if not self._samples or "calibration" in loaded.metadata:
            return
        fit(network, loaded, backbone=self._spec.full_name)
        try:
            report = self._report(network.eval(), loaded.state)
        except ValueError as error:
            # A few short clips, or a network that has learned nothing: the weights are whole without.
            _log.warning("the confidence of %s is not calibrated: %s", path, error)
            return
        found = facts(report)
        save_weights(path, loaded.state, metadata({**loaded.metadata, **found}))
        table = [vars(row) for row in report.table]
        write_text(
            path.parent / CALIBRATION, json.dumps({**found, "reliability": table}, indent=1) + "\n"
        )

    def _report(self, network: nn.Module, state: dict[str, Tensor]) -> CalibrationReport:
        """The calibration of weights; that of the ones before where they are the same.

        The last epoch is often the best one.
        """
        if self._calibrated is not None and _same(self._calibrated[0], state):
            return self._calibrated[1]
        examples = known_segments(
            network,
            self._samples,
            spec=self._spec,
            true_offset=self._true_offset,
            person=self._person,
            tolerance=self._tolerance,
            backgrounds=self._backgrounds,
        )
        report = calibrate(examples)
        self._calibrated = state, report
        return report


def _same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[k], other[k]) for k in one)
