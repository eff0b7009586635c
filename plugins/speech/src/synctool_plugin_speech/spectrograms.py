"""The spectrograms that Whisper, AST, AudioMAE and Wav2Vec2-BERT were trained on.

In torch: they run where the network does.
"""

from __future__ import annotations

import warnings
from contextlib import AbstractContextManager, nullcontext
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers.audio_utils import mel_filter_bank

from synctool.types import AUDIO_HZ

HOP = 160
"""Samples from one step of both spectrograms to the next: 10 ms."""
WINDOW = 400
"""Samples that one step of both spectrograms sees: 25 ms."""
_KALDI_POINTS = 512
_KALDI_FLOOR = torch.finfo(torch.float32).eps


class WhisperMel(nn.Module):
    """Log-mel spectrogram of Whisper (Radford et al. 2022).

    Periodic Hann window, power spectrum of 400 points, Slaney's mel bands from 0 to 8000 Hz, log10, and
    nothing lower than 8 below the maximum **of the whole input**.

    Args:
        bands: Mel bands; 80 in all published sizes but the newest large ones.
    """

    def __init__(self, *, bands: int = 80) -> None:
        super().__init__()
        filters = mel_filter_bank(
            num_frequency_bins=WINDOW // 2 + 1,
            num_mel_filters=bands,
            min_frequency=0.0,
            max_frequency=AUDIO_HZ / 2,
            sampling_rate=AUDIO_HZ,
            norm="slaney",
            mel_scale="slaney",
        )
        filters = torch.tensor(filters.T, dtype=torch.float32)
        self.register_buffer("filters", filters, persistent=False)
        self.register_buffer("window", torch.hann_window(WINDOW), persistent=False)

    def forward(self, waveform: Tensor) -> Tensor:
        """Spectrogram of a waveform with its margins.

        Args:
            waveform: ``[B, 160 N + 240]`` samples in -1..1.

        Returns:
            ``[B, bands, N]``; column k sees samples ``160 k`` to ``160 k + 400`` and is centred on
            ``160 k + 200``.
        """
        with _full_precision(waveform.device):
            spectrum = torch.stft(
                waveform.float(), WINDOW, HOP, window=self.window, center=False, return_complex=True
            )
            power = spectrum.real.square() + spectrum.imag.square()
            logs = (self.filters @ power).clamp_min(1e-10).log10()
            floor = logs.amax((1, 2), keepdim=True) - 8.0
            return (torch.maximum(logs, floor) + 4.0) / 4.0


class KaldiMel(nn.Module):
    """Log-mel filter bank as Kaldi computes it; by default with AST's normalisation (Gong et al. 2021).

    Per window: mean removed, pre-emphasis of 0.97, symmetric window, power spectrum of 512 points, mel bands
    from 20 to 8000 Hz, natural logarithm.

    Args:
        bands: Mel bands; 128 in the published AST.
        mean: AudioSet's mean, subtracted.
        std: AudioSet's standard deviation; twice of it is divided by.
        kind: ``hann`` or Kaldi's own ``povey`` window.
        gain: What the samples are multiplied by: 1, or 32768 for those of 16 bits.
    """

    def __init__(
        self,
        *,
        bands: int = 128,
        mean: float = -4.2677393,
        std: float = 4.5689974,
        kind: Literal["hann", "povey"] = "hann",
        gain: float = 1.0,
    ) -> None:
        super().__init__()
        self.mean, self.std, self.gain = mean, std, gain
        with warnings.catch_warnings():
            # The lowest of 128 bands fall between two points: so it is in the published network.
            warnings.simplefilter("ignore", UserWarning)
            filters = mel_filter_bank(
                num_frequency_bins=_KALDI_POINTS // 2 + 1,
                num_mel_filters=bands,
                min_frequency=20.0,
                max_frequency=AUDIO_HZ / 2,
                sampling_rate=AUDIO_HZ,
                norm=None,
                mel_scale="kaldi",
                triangularize_in_mel_space=True,
            )
        filters = torch.tensor(filters, dtype=torch.float32)
        self.register_buffer("filters", filters, persistent=False)
        window = torch.hann_window(WINDOW, periodic=False)
        window = window.pow(0.85) if kind == "povey" else window
        self.register_buffer("window", window, persistent=False)

    def forward(self, waveform: Tensor) -> Tensor:
        """Spectrogram of a waveform with its margins.

        Args:
            waveform: ``[B, 160 N + 240]`` samples in -1..1.

        Returns:
            ``[B, N, bands]``; row k sees samples ``160 k`` to ``160 k + 400`` and is centred on
            ``160 k + 200``.
        """
        with _full_precision(waveform.device):
            windows = (self.gain * waveform.float()).unfold(1, WINDOW, HOP)
            windows = windows - windows.mean(2, keepdim=True)
            before = F.pad(windows, (1, 0), mode="replicate")[..., :-1]
            spectrum = torch.fft.rfft((windows - 0.97 * before) * self.window, _KALDI_POINTS)
            power = spectrum.real.square() + spectrum.imag.square()
            logs = (power @ self.filters).clamp_min(_KALDI_FLOOR).log()
            return (logs - self.mean) / (2.0 * self.std)


def _full_precision(device: torch.device) -> AbstractContextManager[object]:
    """Half precision would lose the quiet bands, whatever the network itself runs in."""
    if not torch.amp.is_autocast_available(device.type):
        return nullcontext()
    return torch.autocast(device.type, enabled=False)
