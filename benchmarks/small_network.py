"""The networks of ``experiments.py``: ``fcn-cls`` made small, and a regression with the same encoders."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from synctool import hookimpl
from synctool.backbones.mouthnet import MelEncoder, MouthEncoder
from synctool.models.offset_classifier import OffsetClassifier
from synctool.models.offset_regressor import OffsetRegressor
from synctool.plugins.loader import get_plugins
from synctool.plugins.specs import AudioInput, BackboneSpec, VideoInput

NAME = "fcn-small"
WIDTH, EMBEDDING = 12, 96
"""The shipped network has 32 and 256."""
SPEC = BackboneSpec(
    name=NAME,
    tag="mouth",
    default=True,
    role="joint",
    factory="small_network:small",
    summary="fcn-cls made small for experiments",
    video=VideoInput(crop="mouth", size_px=72, colour="gray"),
    audio=AudioInput(kind="logmel64"),
    embedding_size=EMBEDDING,
    receptive_field_frames=13,
    audio_receptive_field_frames=15,
    options={"max_offset": 15},
)


def small(*, max_offset: int = 15) -> OffsetClassifier:
    """The classifier; without dropout, since a short training of a small network has no use for it."""
    return OffsetClassifier(
        video_encoder=MouthEncoder(
            embedding=EMBEDDING, widths=tuple(WIDTH << stage for stage in range(4)), dropout=0.0
        ),
        audio_encoder=MelEncoder(embedding=EMBEDDING, width=WIDTH, dropout=0.0),
        max_offset=max_offset,
    )


def regressor(*, max_offset: int = 15) -> OffsetRegressor:
    """The regression; with the same seed its encoders begin with the weights of ``small``'s."""
    twin = small(max_offset=max_offset)
    return OffsetRegressor(
        video_encoder=twin.video_encoder,
        audio_encoder=twin.audio_encoder,
        embedding=EMBEDDING,
        max_offset=max_offset,
    )


class _Plugin:
    @hookimpl
    def synctool_backbones(self) -> list[BackboneSpec]:
        return [SPEC]


@contextmanager
def small_network() -> Iterator[None]:
    """Let ``synctool`` know ``fcn-small`` for a while, as if a plugin with it were installed."""
    plugins = get_plugins()
    record = plugins.register(_Plugin(), name="experiments")
    try:
        yield
    finally:
        plugins.unregister(record)
