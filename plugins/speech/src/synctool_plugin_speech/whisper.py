"""The encoder of Whisper.

Radford et al. 2022, "Robust Speech Recognition via Large-Scale Weak Supervision".
"""

from __future__ import annotations

from pathlib import Path

import torch.nn.functional as F
from torch import Tensor, nn
from transformers import WhisperConfig, WhisperModel
from transformers.models.whisper.modeling_whisper import WhisperEncoder

from synctool.models.layer_mix import LayerMix, chosen_layer
from synctool.models.rates import pool_steps
from synctool.models.speech_transformer import heads_of
from synctool.weights.transformers_folder import load_transformers
from synctool_plugin_speech.pieces import in_pieces
from synctool_plugin_speech.spectrograms import HOP, WINDOW, WhisperMel

STEPS_PER_FRAME = 2
"""The network's steps are 20 ms long."""
MARGIN_FRAMES = 50
"""Rows of this many frames next to a cut are dropped where an input is longer than 30 s."""
_BANDS = 80
_POSITIONS = 1500
_SAME = (
    *("d_model", "encoder_attention_heads", "encoder_ffn_dim", "activation_function"),
    *("num_mel_bins", "max_source_positions", "scale_embedding"),
)

# Steps 2t and 2t+1 are centred on columns 4t and 4t+2 of the spectrogram, so column 4t+1 has to be
# centred on the middle of frame t, sample 640 t + 320: column k on 160 k + 160.
_LEFT = WINDOW // 2 - HOP
_RIGHT = WINDOW - HOP - _LEFT


class Whisper(nn.Module):
    """Whisper's encoder at 25 Hz: audio in, one embedding for each video frame out.

    The published encoder takes exactly 30 s, most of it silence that was added. Here an input of n steps
    takes the first n of the 1500 position embeddings, which costs what it is long. What is longer than
    30 s is encoded in overlapping pieces of 30 s. Its steps of 20 ms are averaged in pairs.

    An embedding depends on the whole input: attention, and the spectrogram's floor, which hangs on the
    input's maximum.

    Args:
        layers: Layers of the published encoder.
        size: Their width, D; a multiple of 16.
        layer: Hidden state that is given out: 0 is the input of the first layer, -1 the output of the last
            with its final normalisation. Layers beyond it are not built.
        mix: Learned mean of all hidden states up to ``layer``, as in SUPERB (Yang et al. 2021).
        name: What it is, for messages.

    Raises:
        UsageError: There is no such layer or size.
    """

    def __init__(
        self, *, layers: int, size: int, layer: int = -1, mix: bool = False, name: str = "whisper"
    ) -> None:
        super().__init__()
        self.name, self.layers, self.embedding_size = name, layers, size
        built = chosen_layer(layer, layers=layers)
        self.mel = WhisperMel(bands=_BANDS)
        self.encoder = WhisperEncoder(_config(layers=built, size=size))
        self.encoder.embed_positions = _Positions(self.encoder.embed_positions.weight.detach())
        if built < layers:
            self.encoder.layer_norm = nn.Identity()
        self.mix = LayerMix(states=built + 1) if mix and built else None

    @property
    def pretrained(self) -> nn.Module:
        """The published layers in order: convolutions, transformer layers, last normalisation."""
        first = nn.ModuleList([self.encoder.conv1, self.encoder.conv2])
        return nn.ModuleList([first, *self.encoder.layers, self.encoder.layer_norm])

    def forward(self, waveform: Tensor) -> Tensor:
        """Embeddings of the audio.

        Args:
            waveform: ``[B, 640 T]`` at 16 kHz, -1..1.

        Returns:
            ``[B, D, T]``, row t centred on sample ``640 t + 320``.
        """
        limit = _POSITIONS // STEPS_PER_FRAME
        return in_pieces(self._piece, waveform, limit=limit, margin=MARGIN_FRAMES)

    def load_published(self, path: Path) -> None:
        """Take the encoder of a published Whisper; the decoder is left out.

        Args:
            path: Folder with ``config.json`` and the tensors, as the Hugging Face Hub gives it.

        Raises:
            MissingError: No such folder, or no network in it.
            WeightsError: It is another network, damaged, incomplete, or would have to run code.
        """
        load_transformers(
            self.encoder,
            path,
            name=self.name,
            same=_SAME,
            expected={"encoder_layers": self.layers},
            whole=WhisperModel,
            part="encoder",
        )

    def _piece(self, waveform: Tensor) -> Tensor:
        # Mirrored at the ends, as published.
        states = self._states(self.mel(F.pad(waveform, (_LEFT, _RIGHT), mode="reflect")))
        chosen = states[-1] if self.mix is None else self.mix(states)
        return pool_steps(chosen, per_frame=STEPS_PER_FRAME)

    def _states(self, spectrogram: Tensor) -> list[Tensor]:
        """``[B, bands, 2 n] ->`` hidden states ``[B, n, D]``: the first layer's input, then all outputs.

        The library's own ``forward`` does the same and refuses all lengths but 30 s.
        """
        net = self.encoder
        steps = F.gelu(net.conv1(spectrogram.to(net.conv1.weight.dtype)))
        steps = F.gelu(net.conv2(steps)).transpose(1, 2)
        states = [steps + net.embed_positions.weight[: steps.shape[1]]]
        for layer in net.layers:
            found = layer(states[-1], None)
            # The first releases of transformers 5 give a tuple.
            states.append(found[0] if isinstance(found, tuple) else found)
        states[-1] = net.layer_norm(states[-1])
        return states


class _Positions(nn.Module):
    """Sinusoids, which Whisper does not train; under the name that they have in the library.

    Args:
        weight: ``[positions, D]``.
    """

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.register_buffer("weight", weight.clone())


def _config(*, layers: int, size: int) -> WhisperConfig:
    heads = heads_of(size)
    return WhisperConfig(
        d_model=size,
        num_mel_bins=_BANDS,
        max_source_positions=_POSITIONS,
        encoder_layers=layers,
        encoder_attention_heads=heads,
        encoder_ffn_dim=4 * size,
        encoder_layerdrop=0.0,
        # A folder is read with this too, and nothing of its decoder is wanted.
        decoder_layers=0,
        decoder_attention_heads=heads,
        vocab_size=1,
        **dict.fromkeys(
            ("pad_token_id", "bos_token_id", "eos_token_id", "decoder_start_token_id"), 0
        ),
    )


def whisper_tiny(
    *, layers: int = 4, size: int = 384, layer: int = -1, mix: bool = False
) -> Whisper:
    """The encoder of ``openai/whisper-tiny``. Arguments and errors as for ``Whisper``."""
    return Whisper(layers=layers, size=size, layer=layer, mix=mix, name="whisper tiny")


def whisper_base(
    *, layers: int = 6, size: int = 512, layer: int = -1, mix: bool = False
) -> Whisper:
    """The encoder of ``openai/whisper-base``. Arguments and errors as for ``Whisper``."""
    return Whisper(layers=layers, size=size, layer=layer, mix=mix, name="whisper base")


def whisper_small(
    *, layers: int = 12, size: int = 768, layer: int = -1, mix: bool = False
) -> Whisper:
    """The encoder of ``openai/whisper-small``. Arguments and errors as for ``Whisper``."""
    return Whisper(layers=layers, size=size, layer=layer, mix=mix, name="whisper small")
