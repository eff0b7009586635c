"""I3D as it was published first: two Inception networks, one sees the frames and one their optical flow.

Carreira and Zisserman, "Quo Vadis, Action Recognition? A New Model and the Kinetics Dataset", CVPR 2017
(arXiv:1705.07750). Tensors have the names of the conversion of DeepMind's weights to PyTorch, pytorch-i3d.
"""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from synctool.errors import MissingError, WeightsError
from synctool.features.optical_flow import FLOW_CHANNELS, FLOW_REACH_FRAMES
from synctool.models.dense import clip_shape, make_dense, reach
from synctool.models.staged import STAGES, WIDTH, check_stages
from synctool.weights.published import fit_published, read_published

FILES = {"rgb": "rgb_imagenet.pt", "flow": "flow_imagenet.pt"}
_COLOURS = 3
_MIXED = {
    **{"3b": (64, 96, 128, 16, 32, 32), "3c": (128, 128, 192, 32, 96, 64)},
    **{"4b": (192, 96, 208, 16, 48, 64), "4c": (160, 112, 224, 24, 64, 64)},
    **{"4d": (128, 128, 256, 24, 64, 64), "4e": (112, 144, 288, 32, 64, 64)},
    **{"4f": (256, 160, 320, 32, 128, 128), "5b": (256, 160, 320, 32, 128, 128)},
    "5c": (384, 192, 384, 48, 128, 128),
}
"""Channels of the convolutions of the Inception modules."""
_ENDS = ("Conv3d_2c_3x3", "Mixed_3c", "Mixed_4f", "Mixed_5c")
"""What ends a stage."""
_PAIRED = "MaxPool3d_5a_2x2"
_PAIR_RATE = 4  # frames between the two rows that it joins


class TwoStreamI3D(nn.Module):
    """Both streams with a row for every frame: Inception networks, means over space, side by side.

    Behind the third stage is a maximum over pairs of rows, four frames apart. A pair is put in the middle
    of the two, so that a row looks as far back as ahead.

    Args:
        stages: Stages that are kept, 1 to 4. Fewer cost less and look at less time.
        width: Channels of the first convolution, a multiple of 8; the published network has 64.

    Raises:
        ValueError: There is no such number of stages, or no such width.
    """

    def __init__(self, *, stages: int = STAGES, width: int = WIDTH) -> None:
        super().__init__()
        check_stages(stages)
        if width < 8 or width % 8:
            raise ValueError(f"width is a multiple of 8, not {width}")
        self.width = width
        self.rgb = _stream(_COLOURS, stages=stages, width=width)
        self.flow = _stream(FLOW_CHANNELS, stages=stages, width=width)
        sizes = (192, *(_outputs(name.removeprefix("Mixed_")) for name in _ENDS[1:]))
        self.embedding_size = 2 * sizes[stages - 1] * width // WIDTH

    @property
    def receptive_field_frames(self) -> int:
        """Frames that a row looks at; the flow of a frame sees one on either side of it."""
        return 1 + 2 * (sum(map(_reach, self.rgb)) + FLOW_REACH_FRAMES)

    @property
    def pretrained(self) -> nn.Module:
        """The published part in order from input to output: the layers of both streams together."""
        return nn.ModuleList(nn.ModuleList(pair) for pair in zip(self.rgb, self.flow, strict=True))

    def forward(self, video: Tensor) -> Tensor:
        """Embeddings of frames.

        Args:
            video: ``[B, 5, T, H, W]``: RGB in -1..1, then the flow.

        Returns:
            ``[B, D, T]``, row t centred on frame t.
        """
        colours, flow = video.split((_COLOURS, FLOW_CHANNELS), dim=1)
        return torch.cat([self.rgb(colours).mean((3, 4)), self.flow(flow).mean((3, 4))], 1)

    def load_published(self, path: Path) -> None:
        """Take the weights of both published files; any number of stages.

        Args:
            path: Folder with ``rgb_imagenet.pt`` and ``flow_imagenet.pt``.

        Raises:
            MissingError: One is not there.
            WeightsError: It is another network's, a part of one, or no weights; or the width is another.
        """
        if self.width != WIDTH:
            raise WeightsError(
                f"the published weights are for width={WIDTH}, not {self.width}",
                remedy="Leave the option width out.",
            )
        states = {}
        for stream, name in FILES.items():
            file = Path(path) / name
            if not file.is_file():
                raise MissingError(
                    f"no {name} in {path}",
                    remedy=f"Give a folder with {' and '.join(FILES.values())}.",
                )
            states[stream] = read_published(file)
        for stream, state in states.items():
            network = getattr(self, stream)
            kept = {name for name, _ in network.named_children()}
            left_out = sorted(
                {f"{name.partition('.')[0]}." for name in state} - {f"{k}." for k in kept}
            )
            known = [part for part in left_out if part.startswith(("Mixed_", "Conv3d_", "logits."))]
            fit_published(network, state, name=f"i3d.two-stream, {FILES[stream]}", ignored=known)


def _stream(inputs: int, *, stages: int, width: int) -> nn.Sequential:
    """One Inception network up to the end of a stage, dense in time."""

    def scaled(channels: int) -> int:
        return channels * width // WIDTH

    parts: OrderedDict[str, nn.Module] = OrderedDict()
    parts["Conv3d_1a_7x7"] = _Unit(inputs, width, (7, 7, 7), stride=2)
    parts["MaxPool3d_2a_3x3"] = _Pool((1, 3, 3), (1, 2, 2))
    parts["Conv3d_2b_1x1"] = _Unit(width, width, (1, 1, 1))
    parts["Conv3d_2c_3x3"] = _Unit(width, scaled(192), (3, 3, 3))
    channels = 192
    for name, sizes in _MIXED.items():
        if name == "3b":
            parts["MaxPool3d_3a_3x3"] = _Pool((1, 3, 3), (1, 2, 2))
        elif name == "4b":
            parts["MaxPool3d_4a_3x3"] = _Pool((3, 3, 3), (2, 2, 2))
        elif name == "5b":
            parts[_PAIRED] = _Pool((2, 2, 2), (2, 2, 2))
        parts[f"Mixed_{name}"] = _Mixed(scaled(channels), [scaled(size) for size in sizes])
        channels = _outputs(name)
    names = list(parts)
    kept = names[: names.index(_ENDS[stages - 1]) + 1]
    stream = nn.Sequential(OrderedDict((name, parts[name]) for name in kept))
    make_dense(stream, lambda frames: clip_shape(frames)[:, :1].expand(-1, inputs, -1, -1, -1))
    if _PAIRED in kept:
        setattr(stream, _PAIRED, _PairPool())  # in place of the dense pool, which looks back only
    return stream


def _outputs(mixed: str) -> int:
    first, _, second, _, third, fourth = _MIXED[mixed]
    return first + second + third + fourth


def _reach(part: nn.Module) -> int:
    """Frames that a part looks at on either side; of parallel branches, all look as far or at one row."""
    if isinstance(part, _PairPool):
        return _PAIR_RATE // 2
    return max(reach(part.b1b if isinstance(part, _Mixed) else part))


class _Unit(nn.Module):
    """Convolution, normalisation, ReLU; padded in space as TensorFlow does it."""

    def __init__(
        self, inputs: int, outputs: int, kernel: tuple[int, int, int], *, stride: int = 1
    ) -> None:
        super().__init__()
        self.conv3d = nn.Conv3d(inputs, outputs, kernel, stride, (kernel[0] // 2, 0, 0), bias=False)
        self.bn = nn.BatchNorm3d(outputs, eps=0.001, momentum=0.01)
        self.side, self.stride = kernel[1], stride

    def forward(self, x: Tensor) -> Tensor:
        return self.bn(self.conv3d(_padded(x, self.side, self.stride))).relu()


class _Pool(nn.Module):
    """Maximum, padded with zeros in space as TensorFlow does it: what comes in is not negative."""

    def __init__(self, kernel: tuple[int, int, int], stride: tuple[int, int, int]) -> None:
        super().__init__()
        self.pool = nn.MaxPool3d(kernel, stride, (kernel[0] // 2, 0, 0))
        self.side, self.stride = kernel[1], stride[1]

    def forward(self, x: Tensor) -> Tensor:
        return self.pool(_padded(x, self.side, self.stride))


class _PairPool(nn.Module):
    """Maximum over 2 x 2 x 2, of which a row stands in the middle of the two that it joins."""

    def forward(self, x: Tensor) -> Tensor:
        frames, half = x.shape[2], _PAIR_RATE // 2
        x = F.max_pool3d(_padded(x, 2, 2), (1, 2, 2))
        x = F.pad(x, (0, 0, 0, 0, half, half))  # zeros: what comes in is not negative
        return torch.maximum(x[:, :, :frames], x[:, :, 2 * half :])


class _Mixed(nn.Module):
    """Four branches side by side, under the published names."""

    def __init__(self, inputs: int, sizes: list[int]) -> None:
        super().__init__()
        self.b0 = _Unit(inputs, sizes[0], (1, 1, 1))
        self.b1a = _Unit(inputs, sizes[1], (1, 1, 1))
        self.b1b = _Unit(sizes[1], sizes[2], (3, 3, 3))
        self.b2a = _Unit(inputs, sizes[3], (1, 1, 1))
        self.b2b = _Unit(sizes[3], sizes[4], (3, 3, 3))
        self.b3a = _Pool((3, 3, 3), (1, 1, 1))
        self.b3b = _Unit(inputs, sizes[5], (1, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        branches = (self.b0(x), self.b1b(self.b1a(x)), self.b2b(self.b2a(x)), self.b3b(self.b3a(x)))
        return torch.cat(branches, 1)


def _padded(x: Tensor, side: int, stride: int) -> Tensor:
    """Zeros around the image: as many rows and columns come out as steps begin, the odd one behind."""
    sides = []
    for length in (x.shape[4], x.shape[3]):
        more = max(side - (length % stride or stride), 0)
        sides += [more // 2, more - more // 2]
    return F.pad(x, sides) if any(sides) else x


def i3d_two_stream(*, stages: int = STAGES, width: int = WIDTH) -> TwoStreamI3D:
    """I3D with two streams.

    Args:
        stages: Stages that are kept, 1 to 4.
        width: Channels of the first convolution.
    """
    return TwoStreamI3D(stages=stages, width=width)
