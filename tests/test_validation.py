"""Validation at the end of a training, where there is little to go by."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from fake_samples import talking_sample
from synctool.networks.build import build
from synctool.training.checkpoint import save_weights
from synctool.training.validation import Validation
from synctool.weights.files import load_weights


def test_weights_are_whole_without_a_calibration(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Clips too short for any segment leave nothing to calibrate on: said, and nothing lost."""
    spec, network = build("fcn-cls", width=4, embedding=8)
    path = tmp_path / "best.safetensors"
    save_weights(path, network.state_dict(), {"backbone": "fcn-cls", "step": "7"})
    validation = Validation(
        spec=spec,
        samples=[talking_sample("k", seed=1, frames=1)],
        true_offset=lambda _: 0.0,
        person=lambda _: "somebody",
    )
    with caplog.at_level(logging.WARNING):
        validation.calibrate(path, network.eval())
    assert "is not calibrated" in caplog.text
    kept = load_weights(path)
    assert kept.metadata["step"] == "7"
    assert "calibration" not in kept.metadata
    assert kept.state.keys() == network.state_dict().keys()


@pytest.mark.parametrize(("frames", "scored"), [((2, 4), False), ((2, 40), True)])
def test_clips_shorter_than_the_windows_that_decide_count_for_nothing(
    frames: tuple[int, int], scored: bool, caplog: pytest.LogCaptureFixture
) -> None:
    spec, network = build("fcn-cls", width=4, embedding=8)
    samples = [talking_sample(f"k{n}", seed=n, frames=n) for n in frames]
    for sample, source in zip(samples, ("short", "other")):
        object.__setattr__(sample.info, "source", source)
    with caplog.at_level(logging.WARNING):
        validation = Validation(
            spec=spec, samples=samples, true_offset=lambda _: 0.0, person=lambda _: "somebody"
        )
    found = validation.score(network.eval())
    assert ("score" in found) == scored
    assert ("the last epoch counts as the best" in caplog.text) == (not scored)
    assert "short_head_5" not in found
    if scored:
        assert found["score"] == found["other_head_5"]
