"""What models are called where several are compared."""

from __future__ import annotations

from collections.abc import Iterable


def model_names(models: Iterable[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """A name for each model: its backbone, with the weights where one backbone comes with several.

    Args:
        models: Backbones and weights; repetitions do no harm.
    """
    found = dict.fromkeys(models)
    backbones = [backbone for backbone, _ in found]
    return {
        (backbone, weights): backbone
        if backbones.count(backbone) == 1
        else f"{backbone} ({weights})"
        for backbone, weights in found
    }
