"""The visual front end of lip reading: a 3-D stem over five frames, then ResNet-18 frame by frame.

Stafylakis and Tzimiropoulos, "Combining Residual Networks with LSTMs for Lipreading", Interspeech 2017
(arXiv:1703.04105), in the form that AV-HuBERT has (Shi et al., "Learning Audio-Visual Speech
Representation by Masked Multimodal Cluster Prediction", ICLR 2022, arXiv:2201.02184).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from torch import Tensor, nn

from synctool.errors import UsageError, WeightsError
from synctool.weights.published import fit_published, read_published

WIDTH = 64
"""Channels of the published stems."""
_BLOCKS = 2  # in each of the four stages: ResNet-18
_PARTS = ("frontend3D.", "trunk.")
_MARK = "frontend3D.0.weight"
_ACTIVATIONS: dict[str, Callable[[int], nn.Module]] = {
    "prelu": nn.PReLU,
    "relu": lambda channels: nn.ReLU(),
    "swish": lambda channels: nn.SiLU(),
}


class LipFrontend(nn.Module):
    """Grey mouths to one embedding per frame; each sees its own frame and two on either side.

    Its tensors have the names that AV-HuBERT gave them: ``frontend3D`` and ``trunk``.

    Args:
        width: Channels of the stem; D is eight times as many.
        activation: ``prelu`` (AV-HuBERT), ``relu`` or ``swish`` (Auto-AVSR).

    Raises:
        UsageError: There is no such width or activation.
    """

    def __init__(self, *, width: int = WIDTH, activation: str = "prelu") -> None:
        super().__init__()
        if activation not in _ACTIVATIONS:
            raise UsageError(
                f"no activation {activation!r}", remedy=f"It is {', '.join(_ACTIVATIONS)}."
            )
        if width < 1:
            raise UsageError(
                f"a width of {width}", remedy="It is 1 or more; published ones have 64."
            )
        self.embedding_size = 8 * width
        self.frontend3D = nn.Sequential(
            nn.Conv3d(1, width, (5, 7, 7), (1, 2, 2), (2, 3, 3), bias=False),
            nn.BatchNorm3d(width),
            _ACTIVATIONS[activation](width),
            nn.MaxPool3d((1, 3, 3), (1, 2, 2), (0, 1, 1)),
        )
        self.trunk = nn.Sequential()
        channels = width
        for stage in range(4):
            outputs = width * 2**stage
            blocks = nn.Sequential()
            for block in range(_BLOCKS):
                stride = 2 if stage and not block else 1
                blocks.append(_Block(channels, outputs, stride=stride, activation=activation))
                channels = outputs
            self.trunk.add_module(f"layer{stage + 1}", blocks)

    @property
    def pretrained(self) -> nn.Module:
        """The published part in order from input to output: the stem, then each stage."""
        return nn.ModuleList([self.frontend3D, *self.trunk])

    def forward(self, video: Tensor) -> Tensor:
        """Embeddings of frames.

        Args:
            video: ``[B, 1, T, H, W]``, grey, normalised as the spec says.

        Returns:
            ``[B, D, T]``, row t centred on frame t.
        """
        batch = video.shape[0]
        frames = self.frontend3D(video).transpose(1, 2).flatten(0, 1)
        return self.trunk(frames).mean((2, 3)).unflatten(0, (batch, -1)).transpose(1, 2)

    def load_published(self, path: Path) -> None:
        """Take the front end out of a published lip reading network; the rest of it is left out.

        Known are the names of AV-HuBERT, pretrained or fine-tuned, of Auto-AVSR, and of the networks of
        Ma et al. with temporal convolutions: whatever stands before ``frontend3D`` and ``trunk``.

        Args:
            path: ``.safetensors``, or a PyTorch file with nothing but tensors and plain data.

        Raises:
            MissingError: No such file.
            WeightsError: It holds no such front end or another form of it, is damaged, or would have
                to run code.
        """
        fit_published(self, _frontend_of(read_published(Path(path)), path), name="avhubert")


class _Block(nn.Module):
    """ResNet's basic block, whose two activations may have parameters of their own."""

    def __init__(self, inputs: int, outputs: int, *, stride: int, activation: str) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.relu1 = _ACTIVATIONS[activation](outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.relu2 = _ACTIVATIONS[activation](outputs)
        self.downsample = None
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        x = self.relu1(self.bn1(self.conv1(x)))
        return self.relu2(self.bn2(self.conv2(x)) + shortcut)


def _frontend_of(state: Mapping[str, Tensor], path: Path) -> dict[str, Tensor]:
    """The tensors of the one front end in a network, by its own names."""
    before = [name.removesuffix(_MARK) for name in state if name.endswith(_MARK)]
    if len(before) != 1:
        raise WeightsError(
            f"{Path(path).name} holds {len(before) or 'no'} visual front ends: it has "
            f"{len(before)} tensors called ...{_MARK}",
            remedy="Give the weights of AV-HuBERT, Auto-AVSR or another network that begins with it.",
        )
    wanted = tuple(before[0] + part for part in _PARTS)
    return {
        name.removeprefix(before[0]): tensor
        for name, tensor in state.items()
        if name.startswith(wanted)
    }


def avhubert_frontend(*, width: int = WIDTH, activation: str = "prelu") -> LipFrontend:
    """AV-HuBERT's visual front end, base and large: they differ behind it. Arguments as for it."""
    return LipFrontend(width=width, activation=activation)
