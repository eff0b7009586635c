"""Pretrained encoders that stay as they are, wholly, in part or at first, and are trained from the top down.

Gradual unfreezing and rates that fall towards the input are Howard & Ruder's (2018, ULMFiT).
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

ENCODERS = ("video_encoder", "audio_encoder")


@dataclass(frozen=True)
class Unfreezing:
    """When the encoders are trained, and how fast.

    Attributes:
        epoch: The first epoch, from 1, in which the top layers of the encoders are trained; 0 or 1
            trains everything from the start.
        every: Epochs from one group of layers to the next below it.
        layer_decay: What the learning rate is multiplied by from one group to the next below it.
        frozen: Names in ``ENCODERS`` of those that stay as they are in all epochs.
        top: So many groups, from the top, of the frozen encoders are trained all the same.
    """

    epoch: int = 0
    every: int = 1
    layer_decay: float = 1.0
    frozen: tuple[str, ...] = ()
    top: int = 0

    def depth(self, encoder: str, epoch: int) -> int | None:
        """How many groups of an encoder, from the top, are trained in an epoch; None for all."""
        if encoder in self.frozen:
            return self.top
        if self.epoch <= 1:
            return None
        return max(0, (epoch - self.epoch) // self.every + 1)


class LayerGroups:
    """The encoders of a network in groups of layers, from the output to the input.

    A group is a child module of the encoder, in the order in which the encoder lists them; an encoder
    that is a wrapper around one module is looked into. Where only a part of an encoder is
    pretrained, the encoder names that module as its attribute ``pretrained``.

    Args:
        model: A network with encoders.
        unfreezing: When and how fast.
    """

    def __init__(self, model: nn.Module, unfreezing: Unfreezing) -> None:
        self._unfreezing = unfreezing
        self._encoders = {
            name: _grouped(getattr(encoder, "pretrained", encoder))
            for name in ENCODERS
            if (encoder := getattr(model, name, None)) is not None
        }
        self._depths = {
            id(parameter): depth
            for groups in self._encoders.values()
            for depth, group in enumerate(groups)
            for parameter in group.parameters
        }
        self._trained: dict[str, int | None] = {}

    def scale(self, parameter: nn.Parameter) -> float:
        """What the learning rate of a parameter is multiplied by."""
        depth = self._depths.get(id(parameter))
        return 1.0 if depth is None else self._unfreezing.layer_decay**depth

    def at(self, epoch: int) -> bool:
        """Freeze and thaw for an epoch.

        Args:
            epoch: From 1.

        Returns:
            Whether anything changed since the last call.
        """
        before = self._trained
        self._trained = {n: self._unfreezing.depth(n, epoch) for n in self._encoders}
        if self._unfreezing.epoch <= 1 and not self._unfreezing.frozen:
            return False  # what a network freezes by itself stays its own affair
        for name, groups in self._encoders.items():
            trained = self._trained[name]
            if trained is None and self._unfreezing.epoch <= 1:
                continue
            for depth, group in enumerate(groups):
                for parameter in group.parameters:
                    parameter.requires_grad_(trained is None or depth < trained)
        return before != self._trained

    def hold(self) -> None:
        """Frozen layers as in use, their batch normalisation not drifting; call after ``train()``."""
        for name, trained in self._trained.items():
            if trained is None:
                continue
            for group in self._encoders[name][trained:]:
                for module in group.modules:
                    module.eval()


@dataclass(frozen=True)
class _Group:
    """Layers that are trained together."""

    modules: tuple[nn.Module, ...]
    parameters: tuple[nn.Parameter, ...]


def _grouped(encoder: nn.Module) -> list[_Group]:
    """The groups of an encoder, the output's first; parameters of no child go with the input's."""
    groups = [_Group((m,), tuple(m.parameters())) for m in _children(encoder)]
    known = {id(p) for group in groups for p in group.parameters}
    own = tuple(p for p in encoder.parameters() if id(p) not in known)
    if own:
        last = groups.pop() if groups else _Group((), ())
        groups.append(_Group(last.modules, (*last.parameters, *own)))
    return groups


def _children(encoder: nn.Module) -> list[nn.Module]:
    """Child modules that have parameters, the last first."""
    found = [m for m in encoder.children() if any(True for _ in m.parameters())]
    if len(found) == 1:
        return _children(found[0]) or found
    return found[::-1]
