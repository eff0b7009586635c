"""Networks to compare, which worker processes find as well: they come with a distribution of their own.

``flicker`` is right by construction; ``fussy`` cannot take short videos.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib import metadata
from pathlib import Path

import pytest
from torch import Tensor

import flicker
from fake_plugins import write_distribution
from synctool.plugins import loader as plugins
from synctool.types import SAMPLES_PER_FRAME

SHORT_FRAMES = 60
"""Videos of fewer frames are short."""
NAMES = ("flicker", "fussy")
_NAME = "compared"
_CODE = """
from compare_networks import SPECS
from synctool import hookimpl

@hookimpl
def synctool_backbones():
    return SPECS
"""


class Fussy(flicker.Flicker):
    """Cannot take short videos."""

    def encode_audio(self, audio: Tensor) -> Tensor:
        """See ``Flicker``."""
        if audio.shape[-1] < SHORT_FRAMES * SAMPLES_PER_FRAME:
            raise RuntimeError("this is too short for me")
        return super().encode_audio(audio)


SPECS = [
    flicker.SPEC,
    replace(flicker.SPEC, name="fussy", factory="compare_networks:Fussy"),
]


def install(folder: Path) -> None:
    """Install them into a folder for ``PYTHONPATH``."""
    write_distribution(folder, _NAME, code=_CODE)


@contextmanager
def installed(folder: Path) -> Iterator[dict[str, str]]:
    """Here and in worker processes; gives each name with its weights, as ``--backbones`` takes it."""
    install(folder)
    weights = {
        name: flicker.save_weights(folder / f"{name}.safetensors", backbone=name) for name in NAMES
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        patch.setenv("SYNCTOOL_PLUGINS", _NAME)
        made = plugins.Plugins(only=[_NAME])
        made.load(metadata.entry_points(group="synctool"))
        with plugins.use(made):
            yield {name: f"{name}={path}" for name, path in weights.items()}
