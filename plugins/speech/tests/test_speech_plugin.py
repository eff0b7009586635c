"""The audio encoders of the plugin: the contract of all encoders, and what is their own."""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
import transformers
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers.models.audio_spectrogram_transformer import (
    modeling_audio_spectrogram_transformer as ast_library,
)

from synctool.errors import MissingError, UsageError, WeightsError
from synctool.plugins import registry
from synctool.testing import CHECKS
from synctool_plugin_speech import synctool_backbones, synctool_catalogue
from synctool_plugin_speech.ast import AST
from synctool_plugin_speech.audiomae import AudioMAE
from synctool_plugin_speech.pieces import in_pieces
from synctool_plugin_speech.spectrograms import KaldiMel, WhisperMel
from synctool_plugin_speech.wav2vec2_bert import Wav2Vec2Bert
from synctool_plugin_speech.waveform import conformer_large, wavlm_base, wavlm_large
from synctool_plugin_speech.whisper import Whisper, whisper_tiny

SMALL = {"layers": 2, "size": 16}
FACTORIES: dict[str, Callable[..., nn.Module]] = {
    "whisper": whisper_tiny,
    "ast": AST,
    "audiomae": AudioMAE,
    "wav2vec2-bert": Wav2Vec2Bert,
    "wavlm": lambda **options: wavlm_base(channels=8, **options),
    "wavlm.large": lambda **options: wavlm_large(channels=8, **options),
    "conformer": lambda **options: conformer_large(channels=8, **options),
}
NAMES = [f"{spec.name}.{spec.tag}" for spec in synctool_backbones()]
each_network = pytest.mark.parametrize("name", FACTORIES)


def encoder(name: str, *, seed: int = 0, **options: Any) -> Any:
    """A small network with random weights."""
    torch.manual_seed(seed)
    return FACTORIES[name](**{**SMALL, **options}).eval()


def noise(frames: int, batch: int = 1, seed: int = 1) -> Tensor:
    """Audio of so many frames."""
    return 0.1 * torch.randn(batch, 640 * frames, generator=torch.Generator().manual_seed(seed))


# ------------------------------------------------------------------------------------ what is registered


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", NAMES)
def test_contract(check: Callable[..., None], name: str) -> None:
    check(registry.single(name))


def test_the_bare_names_are_the_defaults() -> None:
    defaults = {spec.name: spec.tag for spec in synctool_backbones() if spec.default}
    wanted = {"whisper": "tiny", "wavlm": "base", "conformer": "medium", "ast": "audioset"}
    wanted |= {"audiomae": "audioset", "wav2vec2-bert": "large", "pe-audio": "large"}
    assert defaults == wanted


def test_published_weights_are_in_the_catalogue() -> None:
    found = {s.full_name: s.weights for s in synctool_backbones() if s.weights is not None}
    assert sorted({s.full_name for s in synctool_backbones()} - found.keys()) == ["conformer"]
    for name in ("audiomae", "pe-audio"):  # no plain addresses, or none that were seen
        assert found.pop(name).catalogue is None
    for name, weights in found.items():
        entry = registry.catalogue.get(weights.catalogue)
        assert entry.kind == "weights", name
        assert entry.licence == weights.licence, name
        assert {"config.json", "preprocessor_config.json"} <= set(entry.hub.patterns), name
    own = [entry.name for entry in synctool_catalogue()]
    assert own == ["w2v-bert-2", "wav2vec2-conformer-large"]


def test_nothing_heavy_is_imported_before_a_network_is_chosen() -> None:
    code = (
        "import sys, synctool_plugin_speech as p; p.synctool_backbones(); p.synctool_catalogue();"
        "print([m for m in ('torch', 'numpy', 'transformers') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# --------------------------------------------------------------------------------------- spectrograms


def loud_and_quiet(frames: int) -> Tensor:
    """Two audio frames, one of which begins far below the other's floor."""
    audio = noise(frames, batch=2)
    audio[1, : 320 * frames] *= 1e-5
    return audio


def test_the_spectrogram_of_whisper_is_the_published_one() -> None:
    audio = loud_and_quiet(20)
    extractor = transformers.WhisperFeatureExtractor()
    wanted = extractor(
        list(audio.numpy()), sampling_rate=16_000, padding="do_not_pad", return_tensors="pt"
    ).input_features
    # The publishers put 200 samples on either side and drop the last column.
    got = WhisperMel()(F.pad(audio, (200, 40), mode="reflect"))
    torch.testing.assert_close(got, wanted, atol=1e-4, rtol=1e-4)


@pytest.mark.filterwarnings("ignore:At least one mel filter:UserWarning")
def test_the_spectrogram_of_ast_is_the_published_one() -> None:
    audio = loud_and_quiet(20)
    extractor = transformers.ASTFeatureExtractor(max_length=78)
    wanted = extractor(list(audio.numpy()), sampling_rate=16_000, return_tensors="pt").input_values
    torch.testing.assert_close(KaldiMel()(audio), wanted, atol=1e-3, rtol=1e-3)


def test_the_input_of_wav2vec2_bert_is_the_published_one(monkeypatch: pytest.MonkeyPatch) -> None:
    audio = loud_and_quiet(20)
    extractor = transformers.SeamlessM4TFeatureExtractor()
    network, seen = encoder("wav2vec2-bert", layer=0), []
    monkeypatch.setattr(network, "_piece", lambda rows: (seen.append(rows), rows.mT)[1])
    network(audio)
    for one, got in zip(audio, seen[0], strict=True):
        # Ours have 120 samples of silence on either side, so that four rows belong to each frame.
        padded = F.pad(one, (120, 120)).numpy()
        wanted = extractor(padded, sampling_rate=16_000, return_tensors="pt").input_features[0]
        assert wanted.shape == (40, 160)
        torch.testing.assert_close(got.reshape(40, 160), wanted, atol=2e-3, rtol=2e-3)


@pytest.mark.parametrize("mel", [WhisperMel, KaldiMel])
def test_spectrograms_are_computed_in_full_precision(mel: type[nn.Module]) -> None:
    audio = noise(3)
    with torch.autocast("cpu", torch.bfloat16):
        got = mel()(audio)
    assert torch.equal(got, mel()(audio))


# ------------------------------------------------------------------------------------- place and time


@pytest.mark.parametrize("name", ["whisper", "ast", "audiomae", "conformer"])
def test_the_input_of_the_first_layer_lies_symmetrically_about_its_frame(name: str) -> None:
    options = {"normalise": False} if name == "conformer" else {}
    network = encoder(name, layer=0, **options)
    audio = noise(13).requires_grad_()
    row = network(audio)[0, :, 6]
    row.backward(torch.randn_like(row))
    seen = audio.grad[0].abs()
    # Whisper's floor hangs on the loudest place of all, which is a single window's doing.
    seen = (seen > 1e-3 * seen.max()).nonzero().flatten()
    assert abs((int(seen[0]) + int(seen[-1]) + 1) / 2 - (640 * 6 + 320)) <= 8
    assert 640 <= int(seen[-1]) - int(seen[0]) <= 640 * 5


@each_network
def test_silence_gives_numbers(name: str) -> None:
    assert encoder(name)(torch.zeros(1, 640 * 4)).isfinite().all()


def test_pieces_join_without_a_seam() -> None:
    longest = []

    def smooth(audio: Tensor) -> Tensor:
        """Mean over three frames on either side."""
        frames = audio.unflatten(1, (-1, 640)).mean(2)
        longest.append(frames.shape[1])
        return F.avg_pool1d(frames[:, None], 7, 1, 3)

    for frames in (1, 20, 21, 40, 33):
        audio = noise(frames, batch=2)
        wanted = smooth(audio)
        longest.clear()
        torch.testing.assert_close(in_pieces(smooth, audio, limit=20, margin=3), wanted)
        assert max(longest) <= 20


@pytest.mark.parametrize(
    ("name", "limit", "margin"), [("whisper", 750, 50), ("ast", 251, 25), ("audiomae", 253, 25)]
)
def test_long_inputs_are_encoded_in_pieces(name: str, limit: int, margin: int) -> None:
    network = encoder(name, layers=1)
    audio = noise(limit + 10)
    with torch.no_grad():
        rows, first = network(audio), network(audio[:, : 640 * limit])
    assert rows.shape == (1, 16, limit + 10)
    kept = limit - margin
    assert torch.equal(rows[..., :kept], first[..., :kept])
    assert not torch.allclose(rows[..., kept:limit], first[..., kept:], atol=1e-4)


# ------------------------------------------------------------------------- as the library computes it


def test_thirty_seconds_of_whisper_are_the_librarys() -> None:
    ours = encoder("whisper")
    theirs = transformers.WhisperModel(
        transformers.WhisperConfig(
            d_model=16, encoder_layers=2, encoder_attention_heads=1, encoder_ffn_dim=64,
            decoder_layers=0, decoder_attention_heads=1, vocab_size=1, pad_token_id=0,
        )
    ).encoder.eval()  # fmt: skip
    torch.testing.assert_close(theirs.embed_positions.weight, ours.encoder.embed_positions.weight)
    theirs.load_state_dict(ours.encoder.state_dict())
    spectrogram = torch.randn(1, 80, 3000)
    with torch.no_grad():
        wanted = theirs(spectrogram).last_hidden_state
        states = ours._states(spectrogram)
        first = ours._states(spectrogram[..., :200])[0]
    assert len(states) == 3
    torch.testing.assert_close(states[-1], wanted, atol=1e-4, rtol=1e-4)
    # A shorter input has the first of the positions.
    torch.testing.assert_close(first[:, :99], states[0][:, :99], atol=1e-5, rtol=1e-5)


def test_every_fifth_column_of_ast_is_a_published_one() -> None:
    dense = encoder("ast").network.embeddings
    published = ast_library.ASTEmbeddings(dense.config)
    with torch.no_grad():
        for parameter in dense.parameters():
            parameter.normal_()
        published.load_state_dict(dense.state_dict())
        spectrogram = torch.randn(1, 1024, 128)
        wanted = published(spectrogram)
        got = dense(spectrogram[:, : 4 * 251 + 12])
    assert dense.most_columns == 251
    torch.testing.assert_close(got[:, :2], wanted[:, :2])
    theirs = wanted[:, 2:].unflatten(1, (12, 101))
    ours = got[:, 2:].unflatten(1, (12, 251))
    torch.testing.assert_close(ours[:, :, ::5], theirs[:, :, ::2], atol=1e-4, rtol=1e-4)


def test_long_inputs_of_wav2vec2_bert_are_normalised_as_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    network, audio, seen = encoder("wav2vec2-bert", layer=0), noise(510), []
    audio[:, : 640 * 100] *= 1e-3
    rows = network.mel(F.pad(audio, (120, 120)))
    wanted = (rows - rows.mean(1, keepdim=True)) / rows.std(1, keepdim=True)
    monkeypatch.setattr(network, "_piece", lambda rows: (seen.append(rows), rows.mT[..., ::4])[1])
    assert network(audio).shape == (1, 80, 510)
    first, last = seen
    torch.testing.assert_close(first, wanted[:, :2000], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(last, wanted[:, 40:], atol=1e-4, rtol=1e-4)


def test_a_step_of_wav2vec2_bert_never_sees_what_its_convolution_has_ahead() -> None:
    network, audio = encoder("wav2vec2-bert", layers=1), noise(40)
    conv = network.network.encoder.layers[0].conv_module.depthwise_conv
    assert conv.kernel_size == (31,) and conv.padding == (0,)
    seen = []
    conv.register_forward_hook(
        lambda m, given, out: seen.append((given[0].shape[-1], out.shape[-1]))
    )
    network(audio)
    assert seen == [(110, 80)]  # thirty zeros before, nothing behind


def test_positions_of_audiomae_are_read_at_their_own_time() -> None:
    network = encoder("audiomae", layer=0).network
    with torch.no_grad():
        network.pos_embed.normal_()
        spectrogram = torch.randn(1, 1, 4 * 253 + 12, 128)
        published = F.conv2d(
            spectrogram, network.patch_embed.proj.weight, network.patch_embed.proj.bias, 16
        )
        wanted = published.flatten(2).mT + network.pos_embed[:, 1:]  # a column after the other
        (got,) = network(spectrogram)
    wanted = wanted.unflatten(1, (64, 8)).mean(2)
    torch.testing.assert_close(got[:, ::4], wanted, atol=1e-4, rtol=1e-4)


def test_layers_of_audiomae_are_those_of_a_vision_transformer() -> None:
    ours = encoder("audiomae", size=128, layers=1).network
    (block,) = ours.blocks
    theirs = nn.TransformerEncoderLayer(
        128, 2, 512, dropout=0.0, activation="gelu", layer_norm_eps=1e-6,
        batch_first=True, norm_first=True,
    ).eval()  # fmt: skip
    names = {
        **{"self_attn.in_proj_": "attn.qkv.", "self_attn.out_proj.": "attn.proj."},
        **{"linear1.": "mlp.fc1.", "linear2.": "mlp.fc2.", "norm1.": "norm1.", "norm2.": "norm2."},
    }
    state = block.state_dict()
    theirs.load_state_dict(
        {k + part: state[v + part] for k, v in names.items() for part in ("weight", "bias")}
    )
    x = torch.randn(2, 9, 128)
    torch.testing.assert_close(block(x), theirs(x), atol=1e-5, rtol=1e-5)


def test_positions_of_audiomae_begin_as_published() -> None:
    table = AudioMAE(layers=1, size=16).network.pos_embed[0]
    assert table.shape == (513, 16) and not table[0].any()
    row = table[1:].unflatten(0, (64, 8))[5, 3]  # column 5, group 3
    for at, place in ((0, 3), (8, 5)):
        angles = [place / 10_000 ** (k / 4) for k in range(4)]
        wanted = torch.tensor([*map(math.sin, angles), *map(math.cos, angles)])
        torch.testing.assert_close(row[at : at + 8], wanted, atol=1e-5, rtol=1e-5)


def test_steps_of_wavlm_are_averaged_in_pairs() -> None:
    network = encoder("wavlm.large")
    audio = noise(6)
    normal = (audio - audio.mean()) / (audio.var(correction=0) + 1e-7).sqrt()
    with torch.no_grad():
        steps = network.network(F.pad(normal, (40, 40))).last_hidden_state[0]
        got = network(audio)[0]
    torch.testing.assert_close(got, ((steps[::2] + steps[1::2]) / 2).T, atol=1e-5, rtol=1e-5)


@each_network
def test_training_neither_covers_nor_skips(name: str) -> None:
    network = encoder(name, layers=4)
    audio = noise(30, batch=2)
    for module in network.train().modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.eval()
        elif isinstance(module, nn.Dropout):
            module.p = 0.0
        elif isinstance(getattr(module, "dropout", None), float):
            module.dropout = 0.0
    with torch.no_grad():
        first, second = network(audio), network(audio)
        calm = network.eval()(audio)
    assert torch.equal(first, second)
    torch.testing.assert_close(first, calm, atol=1e-4, rtol=1e-4)


@each_network
def test_measuring_and_training_take_turns(name: str) -> None:
    network, audio = encoder(name), noise(5)
    with torch.inference_mode():
        measured = network(audio)
    trained = network(audio)
    trained.sum().backward()
    torch.testing.assert_close(trained.detach(), measured.clone())
    with torch.autocast("cpu", torch.bfloat16):
        half = network(audio)
    torch.testing.assert_close(half.float(), trained, atol=0.3, rtol=0.1)
    moved = network.to("meta")(audio.to("meta"))
    assert moved.shape == trained.shape


@each_network
@pytest.mark.parametrize("layer", [0, 1, -1])
def test_layers_beyond_the_chosen_one_are_not_built(name: str, layer: int) -> None:
    chosen, whole = encoder(name, layer=layer), encoder(name)
    count = sum(parameter.numel() for parameter in chosen.parameters())
    everything = sum(parameter.numel() for parameter in whole.parameters())
    assert (count == everything) == (layer == -1)
    assert chosen(noise(3)).shape == (1, 16, 3)
    # Convolutions (and what follows them at once), one group for each layer, last normalisation.
    layers = {0: 0, 1: 1, -1: 2}[layer]
    assert len(whole.pretrained) - len(chosen.pretrained) == 2 - layers


@each_network
def test_a_mix_learns_which_layers(name: str) -> None:
    network = encoder(name, mix=True)
    assert network.mix.weights.shape == (3,)
    network(noise(4)).square().sum().backward()
    assert network.mix.weights.grad.any()


@each_network
def test_sizes_and_layers_that_are_not_there_are_refused(name: str) -> None:
    with pytest.raises(UsageError, match="size 24"):
        encoder(name, size=24)
    with pytest.raises(UsageError, match="no layer 3"):
        encoder(name, layer=3)


# -------------------------------------------------------------------------------------- published weights

WHISPER = {
    **{"d_model": 16, "encoder_layers": 2, "encoder_attention_heads": 1, "encoder_ffn_dim": 64},
    **{"decoder_layers": 1, "decoder_attention_heads": 2, "decoder_ffn_dim": 8, "vocab_size": 60},
    **dict.fromkeys(("pad_token_id", "bos_token_id", "eos_token_id"), 1),
    **{"decoder_start_token_id": 2, "begin_suppress_tokens": [3]},
}
LIKE_WAV2VEC = {
    **{"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 1},
    **{"intermediate_size": 64, "conv_dim": (8,) * 7, "vocab_size": 5},
}
CONFORMER = {
    **{"feat_extract_norm": "layer", "conv_bias": True, "do_stable_layer_norm": True},
    **{"hidden_act": "swish", "position_embeddings_type": "rotary", **LIKE_WAV2VEC},
}
TRANSFORMER = {
    **{"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 1},
    **{"intermediate_size": 64},
}
LARGE = {**LIKE_WAV2VEC, "feat_extract_norm": "layer", "do_stable_layer_norm": True}
PUBLISHED = [
    ("whisper", "WhisperModel", WHISPER),
    ("whisper", "WhisperForConditionalGeneration", WHISPER),
    ("wavlm", "WavLMModel", LIKE_WAV2VEC),
    ("wavlm.large", "WavLMModel", LARGE),
    ("wavlm", "WavLMForCTC", LIKE_WAV2VEC),
    ("conformer", "Wav2Vec2ConformerForCTC", CONFORMER),
    ("wav2vec2-bert", "Wav2Vec2BertModel", TRANSFORMER),
    ("wav2vec2-bert", "Wav2Vec2BertForCTC", {**TRANSFORMER, "vocab_size": 5}),
    ("ast", "ASTModel", TRANSFORMER),
    ("ast", "ASTForAudioClassification", TRANSFORMER),
]
each_publication = pytest.mark.parametrize(
    ("name", "kind", "fields"), PUBLISHED, ids=[f"{n}-{k}" for n, k, _ in PUBLISHED]
)


def publish(folder: Path, kind: str, fields: dict[str, Any], **others: Any) -> nn.Module:
    """Write a small network as its publishers do."""
    torch.manual_seed(5)
    whole = getattr(transformers, kind)
    network = whole(whole.config_class(**{**fields, **others}))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    network.save_pretrained(folder)
    return network


def trunk(network: nn.Module) -> nn.Module:
    """The part of a published network that the encoders are."""
    base = getattr(network, network.base_model_prefix, network)
    return base.encoder if isinstance(base, transformers.WhisperModel) else base


def inner(encoder: nn.Module) -> nn.Module:
    """The part of an encoder that is the library's."""
    return encoder.encoder if isinstance(encoder, Whisper) else encoder.network


@each_publication
def test_a_published_folder_fits(
    tmp_path: Path, name: str, kind: str, fields: dict[str, Any]
) -> None:
    theirs = trunk(publish(tmp_path, kind, fields)).state_dict()
    network = encoder(name)
    before = network(noise(4))
    network.load_published(tmp_path)
    ours = inner(network).state_dict()
    assert ours.keys() <= theirs.keys()
    # Left out are the filling of masked places, and a convolution that Conformer never calls.
    unused = {"masked_spec_embed"}
    if name == "conformer":
        unused |= {key for key in theirs if "pos_conv_embed" in key}
    assert theirs.keys() - ours <= unused
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)
    assert not torch.allclose(network(noise(4)), before, atol=1e-3)


@each_publication
def test_fewer_layers_and_a_mix_take_a_published_folder_too(
    tmp_path: Path, name: str, kind: str, fields: dict[str, Any]
) -> None:
    theirs = trunk(publish(tmp_path, kind, fields)).state_dict()
    network = encoder(name, layer=1, mix=True)
    network.load_published(tmp_path)
    ours = inner(network).state_dict()
    assert not any(re.match(r"(encoder\.)?layers?\.1\.", key) for key in ours)
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)


def test_a_file_of_pytorch_with_old_names_fits(tmp_path: Path) -> None:
    network = publish(tmp_path, "WavLMModel", LIKE_WAV2VEC)
    old = {"weight_g": "parametrizations.weight.original0"}
    old["weight_v"] = "parametrizations.weight.original1"
    state = network.state_dict()
    for new_name, name in old.items():
        key = f"encoder.pos_conv_embed.conv.{name}"
        state[f"encoder.pos_conv_embed.conv.{new_name}"] = state.pop(key)
    (tmp_path / "model.safetensors").unlink()
    torch.save(state, tmp_path / "pytorch_model.bin")
    ours = encoder("wavlm")
    ours.load_published(tmp_path)
    wanted = network.state_dict()
    assert all(torch.equal(tensor, wanted[key]) for key, tensor in inner(ours).state_dict().items())


MISSING = {
    "whisper": "encoder.layers.1.fc2.weight",
    "wavlm": "encoder.layers.1.attention.gru_rel_pos_const",
    "conformer": "encoder.layers.1.conv_module.depthwise_conv.weight",
    "ast": "embeddings.position_embeddings",
    "wav2vec2-bert": "encoder.layers.1.self_attn.distance_embedding.weight",
}


@each_publication
def test_what_is_missing_is_named(
    tmp_path: Path, name: str, kind: str, fields: dict[str, Any]
) -> None:
    publish(tmp_path, kind, fields)
    file = tmp_path / "model.safetensors"
    lacking = MISSING[name.partition(".")[0]]
    whole = load_file(file)
    state = {key: tensor for key, tensor in whole.items() if not key.endswith(lacking)}
    assert len(state) == len(whole) - 1
    save_file(state, file, metadata={"format": "pt"})
    with pytest.raises(WeightsError, match=lacking.rpartition("encoder.")[2]):
        encoder(name).load_published(tmp_path)


OTHER = {
    "whisper": {"num_mel_bins": 128},
    "wavlm": {"num_buckets": 32},
    "conformer": {"position_embeddings_type": "relative"},
    "ast": {"time_stride": 16},
    "wav2vec2-bert": {"left_max_position_embeddings": 32},
}


@each_publication
def test_another_configuration_is_named(
    tmp_path: Path, name: str, kind: str, fields: dict[str, Any]
) -> None:
    other = OTHER[name.partition(".")[0]]
    publish(tmp_path, kind, fields, **other)
    with pytest.raises(WeightsError, match=next(iter(other))):
        encoder(name).load_published(tmp_path)


@each_publication
def test_options_of_another_size_are_named(
    tmp_path: Path, name: str, kind: str, fields: dict[str, Any]
) -> None:
    publish(tmp_path, kind, fields)
    for options, field in (({"layers": 3}, "layers"), ({"size": 32}, "d_model|hidden_size")):
        with pytest.raises(WeightsError, match=field):
            encoder(name, **options).load_published(tmp_path)


@pytest.mark.parametrize("name", [name for name in FACTORIES if name != "audiomae"])
def test_a_folder_of_another_network_is_refused(tmp_path: Path, name: str) -> None:
    kind = ("WavLMModel", LIKE_WAV2VEC) if name in ("whisper", "ast") else ("ASTModel", TRANSFORMER)
    publish(tmp_path / "other", *kind)
    with pytest.raises(WeightsError, match=r"wavlm|audio-spectrogram"):
        encoder(name).load_published(tmp_path / "other")
    with pytest.raises(MissingError, match="nowhere"):
        encoder(name).load_published(tmp_path / "nowhere")


def test_audio_that_was_published_normalised_is_not_left_as_it_is(tmp_path: Path) -> None:
    publish(tmp_path, "WavLMModel", LARGE)
    (tmp_path / "preprocessor_config.json").write_text(json.dumps({"do_normalize": True}))
    encoder("wavlm.large").load_published(tmp_path)
    with pytest.raises(WeightsError, match="normalise=True"):
        encoder("wavlm.large", normalise=False).load_published(tmp_path)


# ---------------------------------------------------------------- AudioMAE, whose authors give single files


def audiomae_file(
    folder: Path, *, prefix: str = "", pooled: bool = False, wrapped: bool = True
) -> tuple:
    """A file with the names of the published one, and the encoder's part of it."""
    theirs = encoder("audiomae", seed=5, use_mean_pooling=pooled).network.state_dict()
    others = {"decoder_blocks.0.attn.qkv.weight": 4, "mask_token": 2, "decoder_pos_embed": 3}
    others |= {"head.weight": 2}
    state = {
        prefix + k: v
        for k, v in {**theirs, **{k: torch.ones(n) for k, n in others.items()}}.items()
    }
    path = folder / "pretrained.pth"
    torch.save({"model": state, "epoch": 32} if wrapped else state, path)
    return path, theirs


@pytest.mark.parametrize(
    "how", [{}, {"prefix": "encoder."}, {"pooled": True}, {"wrapped": False}], ids=str
)
def test_a_published_audiomae_fits(tmp_path: Path, how: dict[str, Any]) -> None:
    path, theirs = audiomae_file(tmp_path, **how)
    network = encoder("audiomae", use_mean_pooling=how.get("pooled", False))
    network.load_published(path)
    assert all(torch.equal(v, theirs[k]) for k, v in network.network.state_dict().items())
    short = encoder("audiomae", layer=1, mix=True, use_mean_pooling=how.get("pooled", False))
    short.load_published(path)
    assert len(short.network.blocks) == 1
    assert all(torch.equal(v, theirs[k]) for k, v in short.network.state_dict().items())


def test_another_audiomae_is_refused(tmp_path: Path) -> None:
    path, _ = audiomae_file(tmp_path)
    with pytest.raises(WeightsError, match=r"missing: fc_norm\.weight"):
        encoder("audiomae", use_mean_pooling=True).load_published(path)
    with pytest.raises(WeightsError, match=r"missing: blocks\.2\."):
        encoder("audiomae", layers=3).load_published(path)
    with pytest.raises(WeightsError, match="other shape"):
        encoder("audiomae", size=32).load_published(path)
    torch.save({"model": {"conv.weight": torch.ones(2)}}, tmp_path / "other.pth")
    with pytest.raises(WeightsError, match=r"other\.pth is no AudioMAE"):
        encoder("audiomae").load_published(tmp_path / "other.pth")
    torch.save({"model": {}, "args": Namespace(epochs=1)}, tmp_path / "objects.pth")
    with pytest.raises(WeightsError, match="cannot be read as weights"):
        encoder("audiomae").load_published(tmp_path / "objects.pth")


def test_a_kernel_of_wav2vec2_bert_is_odd() -> None:
    with pytest.raises(UsageError, match="kernel of 4"):
        encoder("wav2vec2-bert", kernel=4)
