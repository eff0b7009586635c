"""Audio encoders given to synctool: Whisper, WavLM, Conformer, Wav2Vec2-BERT, AST, AudioMAE, PE-AV.

Nothing heavy is imported here.
"""

from __future__ import annotations

from typing import Any

from synctool import hookimpl
from synctool.plugins.specs import AudioInput, BackboneSpec, CatalogueEntry, HubSource, WeightsSpec

_CONFORMER = "wav2vec2-conformer-large"
_W2V_BERT = "w2v-bert-2"
_APACHE = "Apache-2.0"
_WAVLM_TERMS = (
    "not clear: none tagged on the card; it links a CC BY-SA 3.0 text, and the code is MIT"
)
_PE_TERMS = "Apache-2.0 by the cards of PE-AV; Meta's perception_models is Apache-2.0"
_WHISPER_TERMS = "Apache-2.0 by the card; OpenAI's own repository is MIT"
_SPEECH_CONTEXT = 65
"""Frames around the middle one that WavLM's positional convolution reaches, as wav2vec 2.0's does."""
_TINY = {"layers": 2, "size": 16}


@hookimpl
def synctool_backbones() -> list[BackboneSpec]:
    """All encoders of this plugin; all of them look at the whole input."""
    return [
        _whisper("tiny", layers=4, size=384, default=True),
        _whisper("base", layers=6, size=512),
        _whisper("small", layers=12, size=768),
        _wavlm("base", "base", default=True),
        _wavlm("base-plus", "base"),
        _wavlm("large", "large"),
        _conformer(
            "medium",
            layers=16,
            size=256,
            default=True,
            summary="Conformer M (Gulati et al. 2020), to be trained from nothing",
        ),
        _conformer(
            "large",
            layers=24,
            size=1024,
            summary="wav2vec 2.0 Conformer large (Wang et al. 2020)",
            weights=_weights(_CONFORMER, _APACHE),
        ),
        _encoder(
            name="ast",
            tag="audioset",
            default=True,
            factory="ast:AST",
            summary="Audio Spectrogram Transformer (Gong et al. 2021), a column of patches per frame",
            context=51,
            options={"layers": 12, "size": 768, "layer": -1, "mix": False},
            small=_TINY,
            weights=_weights("ast", "BSD-3-Clause"),
        ),
        _encoder(
            name="audiomae",
            tag="audioset",
            default=True,
            factory="audiomae:AudioMAE",
            summary="encoder of AudioMAE (Huang et al. 2022), a column of patches per frame",
            context=51,
            options={
                "layers": 12,
                "size": 768,
                "layer": -1,
                "mix": False,
                "use_mean_pooling": False,
            },
            small=_TINY,
            # Its authors give it from Google Drive only.
            weights=WeightsSpec(
                name="audiomae-pretrained",
                licence="CC BY 4.0",
                file_name="audiomae-pretrained.pth",
            ),
        ),
        _encoder(
            name="wav2vec2-bert",
            tag="large",
            default=True,
            factory="wav2vec2_bert:Wav2Vec2Bert",
            summary="Wav2Vec2-BERT, w2v-BERT 2.0 (Barrault et al. 2023), of 143 languages",
            context=_SPEECH_CONTEXT,
            options={"layers": 24, "size": 1024, "kernel": 31, "layer": -1, "mix": False},
            # Its convolutions look back only: without them, whether a row stands at its frame is seen.
            small={**_TINY, "kernel": 1},
            weights=_weights(_W2V_BERT, "MIT"),
        ),
        _encoder(
            name="pe-audio",
            tag="large",
            default=True,
            factory="pe_audio:PEAudio",
            summary="audio encoder of PE-AV (Vyas et al. 2025): a codec's, then over time",
            context=51,
            options={
                "layers": 6,
                "size": 1792,
                "heads": 14,
                "head_size": 128,
                "hidden": 4800,
                "channels": 64,
                "codec_size": 1024,
                "codes": 128,
            },
            small={
                **{"layers": 1, "size": 16, "heads": 2, "head_size": 8, "hidden": 16},
                **{"channels": 2, "codec_size": 8, "codes": 8},
            },
            weights=WeightsSpec(
                name="pe-av-large",
                licence=_PE_TERMS,
                file_name="pe-av-large/config.json",
            ),
        ),
    ]


@hookimpl
def synctool_catalogue() -> list[CatalogueEntry]:
    """The published networks here that synctool's own catalogue lacks."""
    return [
        CatalogueEntry(
            name=_W2V_BERT,
            kind="weights",
            summary="Wav2Vec2-BERT (w2v-BERT 2.0), 4.5 million hours of 143 languages, not fine-tuned",
            homepage="https://huggingface.co/facebook/w2v-bert-2.0",
            licence="MIT",
            hub=HubSource(
                repo="facebook/w2v-bert-2.0",
                revision="da985ba0987f70aaeb84a80f2851cfac8c697a7b",
                patterns=("config.json", "preprocessor_config.json", "model.safetensors"),
            ),
        ),
        CatalogueEntry(
            name=_CONFORMER,
            kind="weights",
            summary="wav2vec 2.0 Conformer large, rotary positions, fine-tuned on 960 h of LibriSpeech",
            homepage="https://huggingface.co/facebook/wav2vec2-conformer-rope-large-960h-ft",
            licence=_APACHE,
            hub=HubSource(
                repo="facebook/wav2vec2-conformer-rope-large-960h-ft",
                revision="63b525d82e236580059cc8fa9dd1e0dc15a326e1",
                patterns=("config.json", "preprocessor_config.json", "pytorch_model.bin"),
            ),
        ),
    ]


def _whisper(tag: str, *, layers: int, size: int, default: bool = False) -> BackboneSpec:
    return _encoder(
        name="whisper",
        tag=tag,
        default=default,
        factory=f"whisper:whisper_{tag}",
        summary=f"encoder of Whisper {tag} (Radford et al. 2022)",
        context=101,
        options={"layers": layers, "size": size, "layer": -1, "mix": False},
        small=_TINY,
        weights=_weights(f"whisper-{tag}", _WHISPER_TERMS),
    )


def _wavlm(tag: str, shape: str, *, default: bool = False) -> BackboneSpec:
    large = shape == "large"
    return _encoder(
        name="wavlm",
        tag=tag,
        default=default,
        factory=f"waveform:wavlm_{shape}",
        summary=f"WavLM {tag} (Chen et al. 2021)",
        context=_SPEECH_CONTEXT,
        options={
            "layers": 24 if large else 12,
            "size": 1024 if large else 768,
            "channels": 512,
            "norm": "layer" if large else "group",
            "layer": -1,
            "mix": False,
            "normalise": large,
        },
        small={**_TINY, "channels": 8},
        weights=_weights(f"wavlm-{tag}", _WAVLM_TERMS),
    )


def _conformer(
    tag: str,
    *,
    layers: int,
    size: int,
    summary: str,
    default: bool = False,
    weights: WeightsSpec | None = None,
) -> BackboneSpec:
    return _encoder(
        name="conformer",
        tag=tag,
        default=default,
        factory=f"waveform:conformer_{tag}",
        summary=summary,
        context=_SPEECH_CONTEXT,
        options={
            "layers": layers,
            "size": size,
            "channels": 512,
            "layer": -1,
            "mix": False,
            "normalise": True,
        },
        small={"layers": 1, "size": 64, "channels": 32},
        weights=weights,
    )


def _encoder(*, factory: str, context: int, options: dict[str, Any], **rest: Any) -> BackboneSpec:
    """What all of them share.

    Args:
        factory: Module and callable of this package.
        context: Frames that a piece of a long video is given around each of its own.
        options: Options of the factory with their defaults.
        rest: Fields of the spec.
    """
    return BackboneSpec(
        role="audio",
        factory=f"synctool_plugin_speech.{factory}",
        audio=AudioInput(kind="waveform16k"),
        embedding_size=options["size"],
        audio_receptive_field_frames=context,
        options=options,
        bounded=False,
        **rest,
    )


def _weights(entry: str, licence: str) -> WeightsSpec:
    return WeightsSpec(name=entry, licence=licence, catalogue=entry, file_name=".")
