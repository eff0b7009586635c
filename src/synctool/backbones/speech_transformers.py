"""wav2vec 2.0 (Baevski et al. 2020) and HuBERT (Hsu et al. 2021) on 16 kHz audio.

The networks are those of the ``transformers`` library, built from configurations written here, so
that nothing is fetched. The configurations are those of facebook/wav2vec2-base, wav2vec2-large (the one
trained on LibriSpeech), hubert-base-ls960 and hubert-large-ll60k; when a published folder is
loaded, its own configuration is compared with them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from synctool.models.speech_transformer import SpeechTransformer, wav2vec_config

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel


def wav2vec2_base(
    *,
    layers: int = 12,
    size: int = 768,
    channels: int = 512,
    norm: str = "group",
    layer: int = -1,
    mix: bool = False,
    normalise: bool = True,
) -> SpeechTransformer:
    """wav2vec 2.0 base: 12 layers of 768.

    Args:
        layers: Layers of the published transformer.
        size: Their width, D; a multiple of 16.
        channels: Channels of the convolutions.
        norm: ``group``: group normalisation of the first convolution over the whole input, transformer
            layers that normalise after each step. ``layer``: layer normalisation of every
            convolution, which then have biases, and transformer layers that normalise before.
        layer: Hidden state that is the output: 0 is the input of the first layer, -1 the last. Layers
            above are left out.
        mix: Learned mean of all hidden states up to ``layer``, as in SUPERB (Yang et al. 2021).
        normalise: Bring the input to zero mean and unit variance.

    Returns:
        ``[B, 640 T] -> [B, size, T]``.

    Raises:
        UsageError: There is no such layer, normalisation or size.
    """
    from transformers import Wav2Vec2Config, Wav2Vec2Model

    config = wav2vec_config(Wav2Vec2Config, layers=layers, size=size, channels=channels, norm=norm)
    return _encoder("wav2vec2", Wav2Vec2Model, config, layer=layer, mix=mix, normalise=normalise)


def wav2vec2_large(
    *,
    layers: int = 24,
    size: int = 1024,
    channels: int = 512,
    norm: str = "group",
    layer: int = -1,
    mix: bool = False,
    normalise: bool = True,
) -> SpeechTransformer:
    """wav2vec 2.0 large: 24 layers of 1024.

    ``norm="group"`` is the network trained on LibriSpeech; those trained on more data
    (``wav2vec2-large-lv60``, ``-robust``, ``-xlsr-53``) are ``norm="layer"``. Arguments, result and errors as
    for ``wav2vec2_base``.
    """
    return wav2vec2_base(
        layers=layers,
        size=size,
        channels=channels,
        norm=norm,
        layer=layer,
        mix=mix,
        normalise=normalise,
    )


def hubert_base(
    *,
    layers: int = 12,
    size: int = 768,
    channels: int = 512,
    norm: str = "group",
    layer: int = -1,
    mix: bool = False,
    normalise: bool = True,
) -> SpeechTransformer:
    """HuBERT base: 12 layers of 768. Arguments, result and errors as for ``wav2vec2_base``."""
    from transformers import HubertConfig, HubertModel

    config = wav2vec_config(HubertConfig, layers=layers, size=size, channels=channels, norm=norm)
    return _encoder("hubert", HubertModel, config, layer=layer, mix=mix, normalise=normalise)


def hubert_large(
    *,
    layers: int = 24,
    size: int = 1024,
    channels: int = 512,
    norm: str = "layer",
    layer: int = -1,
    mix: bool = False,
    normalise: bool = True,
) -> SpeechTransformer:
    """HuBERT large: 24 layers of 1024. Arguments, result and errors as for ``wav2vec2_base``."""
    return hubert_base(
        layers=layers,
        size=size,
        channels=channels,
        norm=norm,
        layer=layer,
        mix=mix,
        normalise=normalise,
    )


def _encoder(
    name: str, network: type[PreTrainedModel], config: PretrainedConfig, **options: Any
) -> SpeechTransformer:
    return SpeechTransformer(network=network, config=config, name=name, **options)
