"""VGGish (Hershey et al., "CNN architectures for large-scale audio classification", ICASSP 2017).

The network and the parameters of its input are those of ``torchvggish``. Its embeddings are taken as
the network gives them: the principal components and the rounding to 8 bits with which AudioSet's
embeddings were released are left out, as they keep gradients from passing and are of no use to
a network that is trained on.
"""

from __future__ import annotations

from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn

from synctool.errors import UsageError, WeightsError
from synctool.models.rates import pad_for_windows
from synctool.models.tracing import exporting
from synctool.types import SAMPLES_PER_FRAME
from synctool.weights.published import fit_published, read_published

_WIDTH = 64
"""Channels of the published network's first layer."""
_WINDOW, _HOP, _FFT = 400, 160, 512
_STEPS = 96
"""Spectrogram steps of one patch: 0.96 s."""
_PATCH = (_STEPS - 1) * _HOP + _WINDOW
"""Samples that one patch looks at."""
_AT_ONCE = 32
"""Patches that go through the network together when nothing is trained: 32 take about 0.1 GB."""


class VggishLogMel(nn.Module):
    """VGGish's spectrogram: 64 log-mel bands from 125 to 7500 Hz, 100 steps a second.

    Magnitudes, not powers, of 25 ms periodic Hann windows; mel filters as in HTK; ``log(mel + 0.01)``.
    """

    filters: Tensor
    window: Tensor

    def __init__(self) -> None:
        super().__init__()
        from torchvggish import mel_features, vggish_params

        filters = mel_features.spectrogram_to_mel_matrix(
            num_mel_bins=vggish_params.NUM_MEL_BINS,
            num_spectrogram_bins=_FFT // 2 + 1,
            audio_sample_rate=vggish_params.SAMPLE_RATE,
            lower_edge_hertz=vggish_params.MEL_MIN_HZ,
            upper_edge_hertz=vggish_params.MEL_MAX_HZ,
        )
        self.offset = vggish_params.LOG_OFFSET
        self.register_buffer(
            "filters", torch.tensor(filters, dtype=torch.float32), persistent=False
        )
        window = torch.hann_window(_WINDOW, periodic=True)
        self.register_buffer("window", window, persistent=False)

    def forward(self, waveform: Tensor) -> Tensor:
        """``[B, N]`` samples ``-> [B, (N - 400) // 160 + 1, 64]``."""
        frames = waveform.float().unfold(1, _WINDOW, _HOP) * self.window
        magnitudes = torch.fft.rfft(frames, _FFT).abs()
        return torch.log(magnitudes @ self.filters + self.offset)


class Vggish(nn.Module):
    """VGGish for every frame: patches of 0.96 s slid by one frame.

    Four spectrogram steps make one frame, so row t is the published network's embedding of the patch
    whose middle is the middle of frame t. Around the audio there is silence. Patches overlap, but the
    network puts zeros around each of them in every layer, so each is computed by itself.

    Args:
        width: Channels of the first layer; 64 as published, less is a smaller network of the same shape.

    Raises:
        UsageError: The width is no whole number from 1.
    """

    def __init__(self, *, width: int = _WIDTH) -> None:
        super().__init__()
        if not isinstance(width, int) or width < 1:
            raise UsageError(f"no VGGish of width {width!r}", remedy=f"It is {_WIDTH}, or smaller.")
        self.width = width
        self.logmel = VggishLogMel()
        self.network = _network(width)

    def forward(self, waveform: Tensor) -> Tensor:
        """Embeddings of the audio.

        Args:
            waveform: ``[B, 640 T]`` at 16 kHz, -1..1.

        Returns:
            ``[B, 128, T]``, row t centred on sample ``640 t + 320``.
        """
        steps = self.logmel(pad_for_windows(waveform, window=_PATCH, hop=SAMPLES_PER_FRAME))
        patches = steps.unfold(1, _STEPS, SAMPLES_PER_FRAME // _HOP).transpose(2, 3)
        batch, frames = patches.shape[:2]
        images = patches.reshape(batch * frames, 1, _STEPS, -1)
        pieces = [images] if self.training or exporting() else images.split(_AT_ONCE)
        rows = torch.cat([self.network(piece) for piece in pieces])
        return rows.reshape(batch, frames, -1).transpose(1, 2)

    @property
    def pretrained(self) -> nn.Module:
        """The published layers in order, from the first convolution to the embedding."""
        parts = (self.network.features, self.network.embeddings)
        return nn.Sequential(*(layer for part in parts for layer in cast("nn.Sequential", part)))

    def load_published(self, path: Path) -> None:
        """Take the weights of ``vggish-10086976.pth``.

        Args:
            path: The file.

        Raises:
            MissingError: No such file.
            WeightsError: It is another network's, damaged, or would have to run code; or this one is
                narrower than the published one.
        """
        if self.width != _WIDTH:
            raise WeightsError(
                f"VGGish of width {self.width} has no published weights",
                remedy=f"Leave the option width at {_WIDTH}.",
            )
        fit_published(self.network, read_published(path), name="vggish")


def vggish(*, width: int = _WIDTH) -> Vggish:
    """VGGish, 128-D.

    Args:
        width: Channels of the first layer; 64 as published.

    Raises:
        UsageError: The width is no whole number from 1.
    """
    return Vggish(width=width)


def _network(width: int) -> nn.Module:
    """torchvggish's network without its post-processing, with random weights; 72 million at width 64."""
    from torchvggish.torchvggish import VGG, make_layers

    if width == _WIDTH:
        return VGG(make_layers(), postprocess=False)
    with torch.device("meta"):
        network = VGG(make_layers(), postprocess=False)
    for part in (network.features, network.embeddings):
        for index, layer in enumerate(part):
            if isinstance(layer, nn.Conv2d):
                inputs = max(1, layer.in_channels * width // _WIDTH)
                part[index] = nn.Conv2d(inputs, layer.out_channels * width // _WIDTH, 3, padding=1)
            elif isinstance(layer, nn.Linear):
                last = index == len(part) - 2  # the embedding keeps its size
                outputs = layer.out_features if last else layer.out_features * width // _WIDTH
                part[index] = nn.Linear(layer.in_features * width // _WIDTH, outputs)
    return network
