"""The losses that come with the package, registered through the plugin door."""

from __future__ import annotations

from typing import Any

from synctool.plugins.hookspecs import hookimpl
from synctool.plugins.specs import LossSpec

_CHUNG = "Chung, Chung & Kang 2019, Perfect Match"


@hookimpl
def synctool_losses() -> list[LossSpec]:
    """Choice among candidates, regression, contrast, agreement in time, and distillation."""
    volume = {"on": "head", "pool": 1}
    cosine = {"on": "plain", "pool": 1}
    return [
        _spec(
            "cross-entropy",
            "volume:CrossEntropy",
            "which of the candidate audio frames belongs, fractional offsets shared by two",
            {**volume, "label_smoothing": 0.0},
            f"{_CHUNG}; label smoothing: Szegedy et al. 2016",
        ),
        _spec(
            "focal",
            "volume:Focal",
            "the same, where easy frames count less",
            {**volume, "gamma": 2.0},
            "Lin et al. 2017, Focal Loss for Dense Object Detection",
        ),
        _spec(
            "multi-way",
            "volume:MultiWay",
            "the same on inverse distances of the embeddings, as published",
            cosine,
            _CHUNG,
        ),
        _spec(
            "angular-margin",
            "volume:AngularMargin",
            "the same, where the right audio must win by an angle or a cosine",
            {**cosine, "margin": 0.2, "kind": "angle", "scale": 0.0},
            "Deng et al. 2019, ArcFace; Wang et al. 2018, CosFace",
        ),
        _spec(
            "info-nce",
            "embedding:InfoNCE",
            "frames against the audio of the other clips of the batch",
            {"apart": 6},
            "van den Oord et al. 2018, Contrastive Predictive Coding",
        ),
        _spec(
            "contrastive",
            "embedding:Contrastive",
            "right audio near, moved ones at least a margin away",
            {"on": "plain", "margin": 1.0, "tolerance": 1.0},
            "Chung & Zisserman 2016, SyncNet; Hadsell et al. 2006",
        ),
        _spec(
            "triplet",
            "embedding:Triplet",
            "the right audio nearer than the hardest moved one",
            {"on": "plain", "margin": 0.2, "tolerance": 1.0},
            "Schroff et al. 2015, FaceNet",
        ),
        _spec(
            "l1",
            "regression:L1",
            "expected against true offset, in frames",
            volume,
            "soft-argmax: Kendall et al. 2017",
        ),
        _spec(
            "mse",
            "regression:Mse",
            "expected against true offset, squared",
            volume,
            "soft-argmax: Kendall et al. 2017",
        ),
        _spec(
            "temporal-consistency",
            "volume:TemporalConsistency",
            "neighbouring frames of a clip agree; only in a mixture",
            {**volume, "of": "distribution"},
            "Jensen-Shannon divergence: Lin 1991",
        ),
        _spec(
            "auxiliary",
            "auxiliary:Auxiliary",
            "values of every frame that were measured elsewhere, told from the frames",
            {"on": "local", "values": 12, "embedding": 256},
            "Caruana 1997, Multitask Learning",
        ),
        _spec(
            "speech-units",
            "speech_units:SpeechUnits",
            "the speech unit of every frame, told from both embeddings; with --units",
            {"side": "both", "units": 100, "embedding": 256},
            "Hsu et al. 2021, HuBERT; Shi et al. 2022, AV-HuBERT",
        ),
        _spec(
            "foreign-audio",
            "volume:ForeignAudio",
            "another clip's audio fits nowhere: all candidates are alike",
            volume,
            "Hendrycks et al. 2019, Deep Anomaly Detection with Outlier Exposure",
        ),
        _spec(
            "distillation",
            "volume:Distillation",
            "the distribution of a trained network, the teacher",
            {**volume, "temperature": 2.0},
            "Hinton, Vinyals & Dean 2015",
        ),
    ]


def _spec(name: str, factory: str, summary: str, options: dict[str, Any], source: str) -> LossSpec:
    return LossSpec(name, f"synctool.training.losses.{factory}", summary, dict(options), source)
