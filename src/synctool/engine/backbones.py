"""Which networks there are, and whether trained weights are here. Imports nothing heavy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from synctool import registry
from synctool.types import BackboneSpec
from synctool.weights.locate import whereabouts


@dataclass(frozen=True)
class BackboneStatus:
    """A network as a list shows it.

    Attributes:
        spec: What it is.
        weights: ``bundled``, ``here``, ``download`` (not here yet) or ``none`` (train it).
    """

    spec: BackboneSpec
    weights: str


def backbones(names: Sequence[str] = ()) -> list[BackboneStatus]:
    """Encoders and complete models.

    Args:
        names: ``NAME[.TAG]`` of those that are wanted; none for all.

    Raises:
        UsageError: There is no such network.
        PluginError: Two plugins claim one name.
    """
    specs = [registry.single(name) for name in names] if names else registry.backbones()
    return [BackboneStatus(spec, whereabouts(spec.weights)) for spec in specs]
