"""Which networks there are, and whether trained weights are here. Imports nothing heavy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from synctool.extras import is_installed
from synctool.plugins import registry
from synctool.types import BackboneSpec
from synctool.weights.locate import located_export, whereabouts


@dataclass(frozen=True)
class BackboneStatus:
    """A network as a list shows it.

    Attributes:
        spec: What it is.
        weights: ``bundled``, ``here``, ``download`` (not here yet) or ``none`` (train it).
        needs: The extra without which it cannot be used here; "" where it can. A network that comes
            exported measures without PyTorch.
    """

    spec: BackboneSpec
    weights: str
    needs: str = ""


def backbones(names: Sequence[str] = ()) -> list[BackboneStatus]:
    """Encoders and complete models.

    Args:
        names: ``NAME[.TAG]`` of those that are wanted; none for all.

    Raises:
        UsageError: There is no such network.
        PluginError: Two plugins claim one name.
    """
    specs = [registry.single(name) for name in names] if names else registry.backbones()
    return [BackboneStatus(spec, whereabouts(spec.weights), _needs(spec)) for spec in specs]


def _needs(spec: BackboneSpec) -> str:
    complete = spec.role == "joint" and spec.weights is not None
    if is_installed("torch") or (complete and located_export(spec.weights)):
        return ""
    return "train"
