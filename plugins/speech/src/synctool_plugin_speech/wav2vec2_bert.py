"""Wav2Vec2-BERT, also called w2v-BERT 2.0, by Hugging Face's transformers.

Barrault et al. 2023, "Seamless: Multilingual Expressive and Streaming Speech Translation"
(arXiv:2312.05187), section 3.2.
"""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import Wav2Vec2BertConfig, Wav2Vec2BertModel

from synctool.errors import UsageError
from synctool.models.layer_mix import LayerMix, chosen_layer
from synctool.models.rates import pool_steps
from synctool.models.speech_transformer import heads_of
from synctool.types import SAMPLES_PER_FRAME
from synctool.weights.transformers_folder import load_transformers
from synctool_plugin_speech.pieces import in_pieces
from synctool_plugin_speech.spectrograms import HOP, WINDOW, KaldiMel

STEPS_PER_FRAME = 2
"""The network's steps are 20 ms long."""
LIMIT_FRAMES = 500
"""Frames that are encoded together: a position embedding stands for every pair of steps."""
MARGIN_FRAMES = 50
"""Rows of this many frames next to a cut are dropped where an input is longer than that."""
_BANDS = 80
_ROWS_PER_FRAME = SAMPLES_PER_FRAME // HOP
_SIDE = (WINDOW - HOP) // 2  # the rows of the spectrogram then lie symmetrically in their frame
_SIXTEEN_BITS = 2.0**15
_SAME = (
    *("hidden_size", "intermediate_size", "num_attention_heads", "hidden_act", "layer_norm_eps"),
    *("feature_projection_input_dim", "position_embeddings_type", "left_max_position_embeddings"),
    *("right_max_position_embeddings", "conv_depthwise_kernel_size", "add_adapter"),
    *("use_intermediate_ffn_before_adapter",),
)


class Wav2Vec2Bert(nn.Module):
    """Wav2Vec2-BERT at 25 Hz: audio in, one embedding for each video frame out.

    Its input is a Kaldi filter bank of 80 bands every 10 ms, brought to zero mean and unit variance band by
    band over the whole input; two rows make a step. The steps of 20 ms are averaged in pairs. What is longer
    than 20 s is encoded in overlapping pieces, after the normalisation.

    An embedding depends on the whole input, by attention and by that normalisation. The convolutions of
    its layers look back only, 0.6 s each; that is as published.

    Args:
        layers: Layers of the published network.
        size: Their width, D; a multiple of 16.
        kernel: Steps that the convolution of a layer looks at, odd; 31 as published.
        layer: Hidden state that is given out: 0 is the input of the first layer, -1 the output of the last.
            Layers beyond it are not built.
        mix: Learned mean of all hidden states up to ``layer``, as in SUPERB (Yang et al. 2021).

    Raises:
        UsageError: There is no such layer, size or kernel.
    """

    def __init__(
        self,
        *,
        layers: int = 24,
        size: int = 1024,
        kernel: int = 31,
        layer: int = -1,
        mix: bool = False,
    ) -> None:
        super().__init__()
        if kernel < 1 or kernel % 2 == 0:
            raise UsageError(
                f"a kernel of {kernel} steps", remedy="It is odd; published ones have 31."
            )
        self.layers, self.embedding_size = layers, size
        built = chosen_layer(layer, layers=layers)
        self.mel = KaldiMel(bands=_BANDS, kind="povey", gain=_SIXTEEN_BITS, mean=0.0, std=0.5)
        self.network = Wav2Vec2BertModel(
            Wav2Vec2BertConfig(
                hidden_size=size,
                num_hidden_layers=built,
                num_attention_heads=heads_of(size),
                intermediate_size=4 * size,
                feature_projection_input_dim=_BANDS * _ROWS_PER_FRAME // STEPS_PER_FRAME,
                conv_depthwise_kernel_size=kernel,
                # Its own masking and layer drop would come on top of this package's augmentation.
                apply_spec_augment=False,
                mask_time_prob=0.0,
                layerdrop=0.0,
            )
        )
        self.mix = LayerMix(states=built + 1) if mix and built else None

    @property
    def pretrained(self) -> nn.Module:
        """The published layers in order: projection of the input, then the transformer's."""
        return nn.ModuleList([self.network.feature_projection, *self.network.encoder.layers])

    def forward(self, waveform: Tensor) -> Tensor:
        """Embeddings of the audio.

        Args:
            waveform: ``[B, 640 T]`` at 16 kHz, -1..1.

        Returns:
            ``[B, D, T]``, row t centred on sample ``640 t + 320``.
        """
        rows = self.mel(F.pad(waveform, (_SIDE, _SIDE)))
        variance, mean = torch.var_mean(rows, dim=1, keepdim=True)
        rows = (rows - mean) * torch.rsqrt(variance + 1e-7)
        return in_pieces(
            self._piece, rows, limit=LIMIT_FRAMES, margin=MARGIN_FRAMES, steps=_ROWS_PER_FRAME
        )

    def load_published(self, path: Path) -> None:
        """Take the weights of a published folder; a head on top is left out.

        Args:
            path: Folder with ``config.json`` and the tensors, as the Hugging Face Hub gives it.

        Raises:
            MissingError: No such folder, or no network in it.
            WeightsError: It is another network, damaged, incomplete, or would have to run code.
        """
        load_transformers(
            self.network,
            path,
            name="wav2vec2-bert",
            same=_SAME,
            expected={"num_hidden_layers": self.layers},
        )

    def _piece(self, rows: Tensor) -> Tensor:
        """``[B, 4 n, bands] -> [B, D, n]``."""
        paired = rows.unflatten(1, (-1, _ROWS_PER_FRAME // STEPS_PER_FRAME)).flatten(2)
        found = self.network(
            paired.to(self.network.dtype), output_hidden_states=self.mix is not None
        )
        steps = found.last_hidden_state
        if self.mix is not None:
            steps = self.mix([*found.hidden_states[:-1], steps])
        return pool_steps(steps, per_frame=STEPS_PER_FRAME)
