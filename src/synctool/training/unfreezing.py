"""Pretrained encoders that stay as they are at first and are then trained from the top down.

Gradual unfreezing and rates that fall towards the input are Howard & Ruder's (2018, ULMFiT).
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

ENCODERS = ("video_encoder", "audio_encoder")


@dataclass(frozen=True)
class Unfreezing:
    """When the encoders are trained, and how fast.

    Attributes:
        epoch: The first epoch, from 1, in which the top layers of the encoders are trained; 0 or 1
            trains everything from the start.
        every: Epochs from one group of layers to the next below it.
        layer_decay: What the learning rate is multiplied by from one group to the next below it.
    """

    epoch: int = 0
    every: int = 1
    layer_decay: float = 1.0

    def depth(self, epoch: int) -> int | None:
        """How many groups, from the top, are trained in an epoch; None for all."""
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
        self._encoders = [
            _children(getattr(encoder, "pretrained", encoder))
            for name in ENCODERS
            if (encoder := getattr(model, name, None)) is not None
        ]
        self._depths = {
            id(parameter): depth
            for groups in self._encoders
            for depth, module in enumerate(groups)
            for parameter in module.parameters()
        }
        self._trained: int | None = None

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
        before, self._trained = self._trained, self._unfreezing.depth(epoch)
        if self._unfreezing.epoch <= 1:
            return False  # what a network freezes by itself stays its own affair
        for groups in self._encoders:
            for depth, module in enumerate(groups):
                module.requires_grad_(self._trained is None or depth < self._trained)
        return before != self._trained

    def hold(self) -> None:
        """Keep the batch normalisation of frozen layers from drifting; call after ``train()``."""
        if self._trained is None:
            return
        for groups in self._encoders:
            for module in groups[self._trained :]:
                for layer in module.modules():
                    if isinstance(layer, _BatchNorm):
                        layer.eval()


def _children(encoder: nn.Module) -> list[nn.Module]:
    """Child modules that have parameters, the last first."""
    found = [m for m in encoder.children() if any(True for _ in m.parameters())]
    if len(found) == 1:
        return _children(found[0]) or found
    return found[::-1]
