"""Networks of the wav2vec 2.0 kind that begin with convolutions over the waveform: WavLM and Conformer.

The networks are those of the ``transformers`` library, built from configurations written here, so that
nothing is fetched. How they are brought to 25 Hz is ``synctool.models.speech_transformer``'s.
"""

from __future__ import annotations

from torch import nn
from transformers import (
    Wav2Vec2ConformerConfig,
    Wav2Vec2ConformerModel,
    WavLMConfig,
    WavLMModel,
)

from synctool.models.speech_transformer import SpeechTransformer, wav2vec_config


def wavlm_base(
    *,
    layers: int = 12,
    size: int = 768,
    channels: int = 512,
    norm: str = "group",
    layer: int = -1,
    mix: bool = False,
    normalise: bool = False,
) -> SpeechTransformer:
    """WavLM base and base-plus (Chen et al. 2021): 12 layers of 768.

    Args:
        layers: Layers of the published transformer.
        size: Their width, D; a multiple of 16.
        channels: Channels of the convolutions.
        norm: ``group``: group normalisation of the first convolution over the whole input, layers that
            normalise after each step. ``layer``: layer normalisation of every convolution, layers
            that normalise before.
        layer: Hidden state that is given out: 0 is the input of the first layer, -1 the output of the
            last. Layers beyond it are not built.
        mix: Learned mean of all hidden states up to ``layer``, as in SUPERB (Yang et al. 2021).
        normalise: Bring the input to zero mean and unit variance; WavLM large was trained so, the
            others were not.

    Returns:
        ``[B, 640 T] -> [B, size, T]``.

    Raises:
        UsageError: There is no such layer, normalisation or size.
    """
    config = wav2vec_config(
        WavLMConfig, layers=layers, size=size, channels=channels, norm=norm, conv_bias=False
    )
    return SpeechTransformer(
        network=WavLMModel, config=config, name="wavlm", layer=layer, mix=mix, normalise=normalise
    )


def wavlm_large(
    *,
    layers: int = 24,
    size: int = 1024,
    channels: int = 512,
    norm: str = "layer",
    layer: int = -1,
    mix: bool = False,
    normalise: bool = True,
) -> SpeechTransformer:
    """WavLM large: 24 layers of 1024. Arguments, result and errors as for ``wavlm_base``."""
    return wavlm_base(
        layers=layers,
        size=size,
        channels=channels,
        norm=norm,
        layer=layer,
        mix=mix,
        normalise=normalise,
    )


def conformer_medium(
    *,
    layers: int = 16,
    size: int = 256,
    channels: int = 512,
    layer: int = -1,
    mix: bool = False,
    normalise: bool = True,
) -> SpeechTransformer:
    """Conformer of the size M (Gulati et al. 2020) on wav2vec 2.0's convolutions: 16 layers of 256.

    The blocks are those of wav2vec 2.0 Conformer (Wang et al. 2020, fairseq S2T) with rotary positions.

    Args:
        layers: Layers of the whole network.
        size: Their width, D; a multiple of 16.
        channels: Channels of the convolutions over the waveform.
        layer: Hidden state that is given out: 0 is the input of the first layer, -1 the output of the
            last with its final normalisation. Layers beyond it are not built.
        mix: Learned mean of all hidden states up to ``layer``, as in SUPERB (Yang et al. 2021).
        normalise: Bring the input to zero mean and unit variance.

    Returns:
        ``[B, 640 T] -> [B, size, T]``.

    Raises:
        UsageError: There is no such layer or size.
    """
    # Its blocks normalise first, so the last layer needs a normalisation after it: norm "layer".
    config = wav2vec_config(
        Wav2Vec2ConformerConfig,
        layers=layers,
        size=size,
        channels=channels,
        norm="layer",
        hidden_act="swish",
        position_embeddings_type="rotary",
    )
    return SpeechTransformer(
        network=_conformer,
        config=config,
        name="conformer",
        layer=layer,
        mix=mix,
        normalise=normalise,
    )


def conformer_large(
    *,
    layers: int = 24,
    size: int = 1024,
    channels: int = 512,
    layer: int = -1,
    mix: bool = False,
    normalise: bool = True,
) -> SpeechTransformer:
    """wav2vec 2.0 Conformer large with rotary positions: 24 layers of 1024.

    Arguments, result and errors as for ``conformer_medium``.
    """
    return conformer_medium(
        layers=layers, size=size, channels=channels, layer=layer, mix=mix, normalise=normalise
    )


def _conformer(config: Wav2Vec2ConformerConfig) -> Wav2Vec2ConformerModel:
    network = Wav2Vec2ConformerModel(config)
    # The library builds wav2vec 2.0's positional convolution too and never calls it.
    network.encoder.pos_conv_embed = nn.Identity()
    network.encoder.embed_positions.register_forward_pre_hook(_forget)
    return network


def _forget(positions: nn.Module, _: object) -> None:
    """The library keeps the last positions, on the old device and without gradients if it was so then."""
    positions.cached_sequence_length = None
