"""The encoder of AudioMAE (Huang et al. 2022, "Masked Autoencoders that Listen", arXiv:2207.06405).

Its tensors have the names of its authors' files, which are timm's of a vision transformer.
"""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from synctool.errors import WeightsError
from synctool.models.layer_mix import LayerMix, chosen_layer
from synctool.models.speech_transformer import heads_of
from synctool.weights.published import fit_published, read_published
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
_GROUPS = _BANDS // PATCH
_COLUMNS = 1024 // PATCH  # of the published 10.24 s
_EPS = 1e-6
_MARK = "patch_embed.proj.weight"
_LEFT_OUT = ("decoder", "mask_token", "head.")


class AudioMAE(nn.Module):
    """AudioMAE's encoder at 25 Hz: one column of patches for each video frame.

    The published network cuts its spectrogram, which is AST's, into patches of 16 x 16 that touch. Here the
    same patches are taken every 4 steps of 10 ms, which is one video frame; a position embedding
    between two of the published ones is interpolated at the patch's own time. The patches of a column,
    one for each of 8 groups of bands, are averaged at the output. What is longer than the positions go
    (10 s) is encoded in overlapping pieces.

    An embedding depends on the whole input by attention.

    Args:
        layers: Layers of the published network.
        size: Their width, D; a multiple of 16.
        layer: Hidden state that is given out: 0 is the input of the first layer, -1 the output of the last
            with its final normalisation. Layers beyond it are not built.
        mix: Learned mean of all hidden states up to ``layer``, as in SUPERB (Yang et al. 2021).
        use_mean_pooling: Whether the mean over a column comes before the final normalisation, as in
            networks that were fine-tuned to classify (``fc_norm`` in their files), or after it, as in the
            pretrained one (``norm``).

    Raises:
        UsageError: There is no such layer or size.
    """

    def __init__(
        self,
        *,
        layers: int = 12,
        size: int = 768,
        layer: int = -1,
        mix: bool = False,
        use_mean_pooling: bool = False,
    ) -> None:
        super().__init__()
        self.layers, self.embedding_size = layers, size
        built = chosen_layer(layer, layers=layers)
        self.mel = KaldiMel(bands=_BANDS)
        self.network = _Transformer(
            layers=built, size=size, norms=built == layers, pooled=use_mean_pooling
        )
        self.mix = LayerMix(states=built + 1) if mix and built else None

    @property
    def pretrained(self) -> nn.Module:
        """The published layers in order: patches, transformer layers, last normalisation."""
        network = self.network
        return nn.ModuleList([network.patch_embed, *network.blocks, network.last_norm])

    def forward(self, waveform: Tensor) -> Tensor:
        """Embeddings of the audio.

        Args:
            waveform: ``[B, 640 T]`` at 16 kHz, -1..1.

        Returns:
            ``[B, D, T]``, row t centred on sample ``640 t + 320``.
        """
        limit = most_columns(_COLUMNS, stride=PATCH)
        return in_pieces(self._piece, waveform, limit=limit, margin=MARGIN_FRAMES)

    def load_published(self, path: Path) -> None:
        """Take the encoder out of a published AudioMAE; the decoder or the classifier is left out.

        Args:
            path: The pretrained or the fine-tuned file, or the same tensors as safetensors.

        Raises:
            MissingError: No such file.
            WeightsError: It is another network's or has the other normalisation, is damaged, or would have
                to run code.
        """
        state = read_published(Path(path))
        before = [name.removesuffix(_MARK) for name in state if name.endswith(_MARK)]
        if len(before) != 1:
            raise WeightsError(
                f"{Path(path).name} is no AudioMAE: it has {len(before)} tensors called ...{_MARK}",
                remedy="Give the published file, pretrained or fine-tuned.",
            )
        own = {k.removeprefix(before[0]): v for k, v in state.items() if k.startswith(before[0])}
        built = len(self.network.blocks)
        ignored = [*_LEFT_OUT, *(f"blocks.{n}." for n in range(built, self.layers))]
        if built < self.layers:
            ignored += ["norm.", "fc_norm."]
        fit_published(self.network, own, name="audiomae", ignored=ignored)

    def _piece(self, waveform: Tensor) -> Tensor:
        spectrogram = self.mel(F.pad(waveform, (SIDE, SIDE)))
        states = self.network(spectrogram[:, None].to(self.network.cls_token.dtype))
        return (states[-1] if self.mix is None else self.mix(states)).transpose(1, 2)


class _Transformer(nn.Module):
    """Patches, class token and layers; the class token takes part in the attention, as published."""

    def __init__(self, *, layers: int, size: int, norms: bool, pooled: bool) -> None:
        super().__init__()
        self.pooled = pooled
        self.patch_embed = nn.Module()
        self.patch_embed.proj = nn.Conv2d(1, size, PATCH, (COLUMN_STRIDE, PATCH))
        self.cls_token = nn.Parameter(0.02 * torch.randn(1, 1, size))
        self.pos_embed = nn.Parameter(_sinusoids(size)[None])
        self.blocks = nn.ModuleList(_Block(size) for _ in range(layers))
        name = "fc_norm" if pooled else "norm"
        self.add_module(name, nn.LayerNorm(size, eps=_EPS) if norms else nn.Identity())

    @property
    def last_norm(self) -> nn.Module:
        """The normalisation after the last layer, of the tokens or of their mean."""
        return self.fc_norm if self.pooled else self.norm

    def forward(self, spectrogram: Tensor) -> list[Tensor]:
        """Hidden states as means over columns, the first layer's input, then all outputs.

        Args:
            spectrogram: ``[B, 1, 4 n + 12, bands]``.

        Returns:
            Each ``[B, n, D]``; the last one normalised.
        """
        patches = self.patch_embed.proj(spectrogram).permute(0, 2, 3, 1)  # [B, n, groups, D]
        batch, columns = patches.shape[:2]
        first, table = self.pos_embed.split((1, _COLUMNS * _GROUPS), dim=1)
        table = table.unflatten(1, (_COLUMNS, _GROUPS)).transpose(1, 2)
        places = positions_at_frames(table, columns=columns, stride=PATCH).transpose(1, 2)
        token = (self.cls_token + first).expand(batch, -1, -1)
        tokens = torch.cat((token, (patches + places).flatten(1, 2)), 1)
        states = [tokens]
        for block in self.blocks:
            states.append(block(states[-1]))
        *earlier, last = states

        def by_column(tokens: Tensor) -> Tensor:
            return tokens[:, 1:].unflatten(1, (columns, _GROUPS)).mean(2)

        normal = self.last_norm
        last = normal(by_column(last)) if self.pooled else by_column(normal(last))
        return [*(by_column(state) for state in earlier), last]


class _Block(nn.Module):
    """A layer that normalises before each step."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.heads = heads_of(size)
        self.norm1, self.norm2 = nn.LayerNorm(size, eps=_EPS), nn.LayerNorm(size, eps=_EPS)
        self.attn, self.mlp = nn.Module(), nn.Module()
        self.attn.qkv, self.attn.proj = nn.Linear(size, 3 * size), nn.Linear(size, size)
        self.mlp.fc1, self.mlp.fc2 = nn.Linear(size, 4 * size), nn.Linear(4 * size, size)

    def forward(self, x: Tensor) -> Tensor:
        both = self.attn.qkv(self.norm1(x)).unflatten(2, (3, self.heads, -1))
        query, key, value = both.permute(2, 0, 3, 1, 4)
        seen = F.scaled_dot_product_attention(query, key, value)
        x = x + self.attn.proj(seen.transpose(1, 2).flatten(2))
        return x + self.mlp.fc2(F.gelu(self.mlp.fc1(self.norm2(x))))


def _sinusoids(size: int) -> Tensor:
    """The published positions, which were not trained: ``[1 + columns * groups, D]``, zeros first.

    Half of the numbers say which group of bands, half which column.
    """
    rates = 10_000.0 ** -(torch.arange(size // 4) / (size // 4))

    def waves(count: int) -> Tensor:
        angles = torch.arange(count)[:, None] * rates
        return torch.cat((angles.sin(), angles.cos()), 1)

    bands = waves(_GROUPS)[None].expand(_COLUMNS, -1, -1)
    times = waves(_COLUMNS)[:, None].expand(-1, _GROUPS, -1)
    return F.pad(torch.cat((bands, times), 2).flatten(0, 1), (0, 0, 1, 0))
