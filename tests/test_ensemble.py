"""Several models as one, and several passes of one with dropout."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import flicker
import flicker_models
from flicker import flicker_video
from synctool.errors import UsageError
from synctool.measure import ensemble
from synctool.measure.detect import Detector
from synctool.measure.embeddings import AudioEmbeddings, FaceEmbeddings, ModelEmbeddings
from synctool.measure.volumes import score_volume
from synctool.networks.dropout_passes import dropout_passes
from synctool.scoring.confidence import UNCALIBRATED, Calibration
from synctool.settings.detect import DetectSettings


def embedded(name: str, seed: int, frames: int = 40) -> ModelEmbeddings:
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(5, frames)).astype(np.float16)
    audio = rng.normal(size=(5, frames)).astype(np.float16)
    face = FaceEmbeddings(0, 0, rows, (np.zeros(4),))
    return ModelEmbeddings(name, "", (face,), AudioEmbeddings(audio))


def test_scores_are_added_with_the_kept_weights(tmp_path: Path, monkeypatch) -> None:
    members = [flicker_models.grey("one"), flicker_models.grey("two")]
    kept = ensemble.KeptEnsemble(
        ("one sha256:0", "two sha256:0"), (0.75, 0.25), Calibration(-1.0, 2.0).to_dict()
    )
    path = tmp_path / "ensembles.json"
    path.write_text(json.dumps([asdict(kept)]))
    monkeypatch.setattr(ensemble, "KEPT", path)
    found = [embedded("one", 1), embedded("two", 2)]
    calibration = ensemble.calibration_of(members)
    model, both = ensemble.joined(members, found, calibration)
    together = score_volume(model, both.faces[0], both.audio, max_offset=15)
    one, two = (
        score_volume(m, f.faces[0], f.audio, max_offset=15)
        for m, f in zip(members, found, strict=True)
    )
    np.testing.assert_allclose(together, 0.75 * one + 0.25 * two, rtol=1e-5)
    assert calibration.intercept == -1.0 and model.compared == 5


def test_models_that_nobody_calibrated_together_are_judged_with_caution() -> None:
    members = [flicker_models.grey("one"), flicker_models.grey("two")]
    assert ensemble.calibration_of(members) == UNCALIBRATED


class Dropping(flicker.Flicker):
    """The flicker network with dropout that its frames go through."""

    def __init__(self) -> None:
        super().__init__()
        self.dropout = nn.Dropout(0.5)

    def encode_video(self, video: torch.Tensor) -> torch.Tensor:
        """``[B, C, T, S, S] -> [B, 5, T]``."""
        return self.dropout(super().encode_video(video))


def test_passes_draw_anew_and_tell_how_far_they_are_apart(tmp_path: Path) -> None:
    model = flicker_models.loaded(Dropping(), "dropping")
    video = flicker_video(tmp_path / "v.mkv", seconds=3.0)
    passes = Detector(model=model, mc_dropout=3, detector="whole").detect(video).ensemble
    assert passes is not None and len(passes.members) == 3
    assert len({m.confidence for m in passes.members}) == 3
    assert passes.spread_ms is not None and passes.agreement is not None


def test_a_network_without_dropout_is_refused() -> None:
    with pytest.raises(UsageError, match="no dropout"):
        dropout_passes(flicker_models.grey(), 3)


def test_an_exported_model_is_refused() -> None:
    with pytest.raises(UsageError, match="exported to onnx"):
        Detector(mc_dropout=2, runtime="onnx")


@pytest.mark.parametrize(
    "wrong",
    [
        {"mc_dropout": 1},
        {"mc_dropout": 4, "ensemble": ("graph-cls",)},
        {"ensemble": ("graph-cls",), "channels": "each"},
    ],
)
def test_settings_that_contradict_each_other(wrong: dict) -> None:
    with pytest.raises(UsageError):
        DetectSettings(**wrong)
