"""The Audio Spectrogram Transformer (Gong, Chung and Glass 2021, "AST: Audio Spectrogram Transformer")."""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import ASTConfig, ASTModel
from transformers.models.audio_spectrogram_transformer.modeling_audio_spectrogram_transformer import (
    ASTEmbeddings,
)

from synctool.models.layer_mix import LayerMix, chosen_layer
from synctool.models.speech_transformer import heads_of
from synctool.types import SAMPLES_PER_FRAME
from synctool.weights.transformers_folder import load_transformers
from synctool_plugin_speech.patches import (
    COLUMN_STRIDE,
    MARGIN_FRAMES,
    PATCH,
    SIDE,
    most_columns,
    positions_at_frames,
)
from synctool_plugin_speech.pieces import in_pieces
from synctool_plugin_speech.spectrograms import KaldiMel

_BANDS = 128
_PUBLISHED_STRIDE = 10
_PUBLISHED_STEPS = 1024
_SPECIAL = 2  # the class token and the distillation token
_SAME = (
    *("hidden_size", "num_attention_heads", "intermediate_size", "hidden_act", "qkv_bias"),
    *("patch_size", "frequency_stride", "time_stride", "max_length", "num_mel_bins"),
)


class AST(nn.Module):
    """AST at 25 Hz: one column of patches for each video frame.

    The published network cuts its spectrogram into patches of 16 x 16 every 10 steps of 10 ms. Here the
    same patches are taken every 4 steps, which is one video frame; a position embedding between two of
    the published ones is interpolated at the patch's own time, so that they mean the seconds that they
    were trained for. The patches of a column, one for each of 12 groups of bands, are averaged at the
    output. What is longer than the positions go (10 s) is encoded in overlapping pieces.

    An embedding depends on the whole input by attention.

    Args:
        layers: Layers of the published network.
        size: Their width, D; a multiple of 16.
        layer: Hidden state that is given out: 0 is the input of the first layer, -1 the output of the last
            with its final normalisation. Layers beyond it are not built.
        mix: Learned mean of all hidden states up to ``layer``, as in SUPERB (Yang et al. 2021).

    Raises:
        UsageError: There is no such layer or size.
    """

    def __init__(
        self, *, layers: int = 12, size: int = 768, layer: int = -1, mix: bool = False
    ) -> None:
        super().__init__()
        self.layers, self.embedding_size = layers, size
        built = chosen_layer(layer, layers=layers)
        config = ASTConfig(
            hidden_size=size,
            num_hidden_layers=built,
            num_attention_heads=heads_of(size),
            intermediate_size=4 * size,
            patch_size=PATCH,
            frequency_stride=_PUBLISHED_STRIDE,
            time_stride=_PUBLISHED_STRIDE,
            max_length=_PUBLISHED_STEPS,
            num_mel_bins=_BANDS,
        )
        self.mel = KaldiMel(bands=_BANDS)
        self.network = ASTModel(config)
        self.network.embeddings = _DenseEmbeddings(self.network.embeddings)
        if built < layers:
            self.network.layernorm = nn.Identity()
        self.mix = LayerMix(states=built + 1) if mix and built else None

    @property
    def pretrained(self) -> nn.Module:
        """The published layers in order: embeddings, transformer layers, last normalisation."""
        network = self.network
        # The first releases of transformers 5 keep the layers one floor down.
        layers = network.layers if hasattr(network, "layers") else network.encoder.layer
        return nn.ModuleList([network.embeddings, *layers, network.layernorm])

    def forward(self, waveform: Tensor) -> Tensor:
        """Embeddings of the audio.

        Args:
            waveform: ``[B, 640 T]`` at 16 kHz, -1..1.

        Returns:
            ``[B, D, T]``, row t centred on sample ``640 t + 320``.
        """
        limit = self.network.embeddings.most_columns
        return in_pieces(self._piece, waveform, limit=limit, margin=MARGIN_FRAMES)

    def load_published(self, path: Path) -> None:
        """Take the weights of a published AST; a classifier on top of it is left out.

        Args:
            path: Folder with ``config.json`` and the tensors, as the Hugging Face Hub gives it.

        Raises:
            MissingError: No such folder, or no network in it.
            WeightsError: It is another network, damaged, incomplete, or would have to run code.
        """
        load_transformers(
            self.network,
            path,
            name="ast",
            same=_SAME,
            expected={"num_hidden_layers": self.layers},
        )

    def _piece(self, waveform: Tensor) -> Tensor:
        spectrogram = self.mel(F.pad(waveform, (SIDE, SIDE))).to(self.network.dtype)
        found = self.network(spectrogram, output_hidden_states=self.mix is not None)
        tokens = found.last_hidden_state
        if self.mix is not None:
            tokens = self.mix([*found.hidden_states[:-1], tokens])
        frames = waveform.shape[1] // SAMPLES_PER_FRAME
        patches = tokens[:, _SPECIAL:].unflatten(1, (-1, frames))  # groups of bands, columns
        return patches.mean(1).transpose(1, 2)


class _DenseEmbeddings(ASTEmbeddings):
    """The library's embedding of patches, with one column for each video frame.

    Args:
        published: The one to take the parameters of.
    """

    def __init__(self, published: ASTEmbeddings) -> None:
        super().__init__(published.config)
        self.load_state_dict(published.state_dict())
        rows, self._columns = self.get_shape(self.config)
        self._rows = rows
        self.patch_embeddings.projection.stride = (self.config.frequency_stride, COLUMN_STRIDE)

    @property
    def most_columns(self) -> int:
        """Columns up to the last published position."""
        return most_columns(self._columns, stride=self.config.time_stride)

    def forward(self, input_values: Tensor) -> Tensor:
        """``[B, 4 T + 12, bands] -> [B, 2 + rows * T, D]``."""
        patches = self.patch_embeddings(input_values)
        batch, count, _ = patches.shape
        special = torch.cat((self.cls_token, self.distillation_token), 1).expand(batch, -1, -1)
        tokens = torch.cat((special, patches), 1) + self._positions(count // self._rows)
        return self.dropout(tokens)

    def _positions(self, columns: int) -> Tensor:
        """``[1, 2 + rows * columns, D]``, the published table read at the columns' own times."""
        special, table = self.position_embeddings.split(
            (_SPECIAL, self._rows * self._columns), dim=1
        )
        table = table.unflatten(1, (self._rows, self._columns))
        read = positions_at_frames(table, columns=columns, stride=self.config.time_stride)
        return torch.cat((special, read.flatten(1, 2)), 1)
