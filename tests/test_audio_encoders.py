"""The published audio encoders: VGGish, wav2vec 2.0 and HuBERT."""

from __future__ import annotations

import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from synctool.backbones import speech_transformers, vggish
from synctool.errors import MissingError, UsageError, WeightsError
from synctool.models.layer_mix import LayerMix, chosen_layer
from synctool.models.rates import normalise_utterance, pad_for_windows, pool_steps
from synctool.models.speech_transformer import SpeechTransformer
from synctool.training.unfreezing import LayerGroups, Unfreezing
from synctool.weights.transformers_folder import load_transformers

SMALL = {"layers": 3, "size": 16, "channels": 8}
KINDS = [("wav2vec2_base", "group"), ("wav2vec2_large", "layer"), ("hubert_base", "group")]
KINDS += [("hubert_large", "layer")]
each_kind = pytest.mark.parametrize(("factory", "norm"), KINDS, ids=[k for k, _ in KINDS])


def encoder(factory: str, **options: object) -> SpeechTransformer:
    """A small speech transformer with random weights."""
    torch.manual_seed(0)
    return getattr(speech_transformers, factory)(**{**SMALL, **options}).eval()


def noise(frames: int, batch: int = 1, seed: int = 1) -> Tensor:
    """Audio of so many frames."""
    return 0.1 * torch.randn(batch, 640 * frames, generator=torch.Generator().manual_seed(seed))


def influence(network: nn.Module, row: int, frames: int) -> Tensor:
    """How much each sample changes a row."""
    given = noise(frames).requires_grad_()
    rows = network(given)[0, :, row]
    rows.backward(torch.randn_like(rows))
    return given.grad[0].abs()


# ------------------------------------------------------------------------------------ rates and layers


@pytest.mark.parametrize(("window", "hop"), [(400, 320), (400, 160), (15600, 640), (640, 640)])
def test_windows_lie_symmetrically_about_the_middle_of_each_frame(window: int, hop: int) -> None:
    places = torch.arange(640 * 3, dtype=torch.float64)[None]
    windows = pad_for_windows(places + 0.5, window=window, hop=hop).unfold(1, window, hop)
    per_frame = 640 // hop
    assert windows.shape[1] == 3 * per_frame
    # The zeros of the padding are told from samples by their places.
    padded = pad_for_windows(torch.ones(1, 640 * 3), window=window, hop=hop).shape[1]
    starts = torch.arange(0, padded - window + 1, hop) - (window - hop) // 2
    centres = (starts + window / 2).reshape(3, per_frame).mean(1)
    assert centres.tolist() == [320, 960, 1600]
    middle = windows[0, per_frame]  # the first of frame 1
    inside = middle > 0
    assert middle[inside][0] - 0.5 == max(0, starts[per_frame])


@pytest.mark.parametrize(("window", "hop"), [(400, 300), (401, 320), (300, 320)])
def test_windows_that_have_no_symmetric_place_are_refused(window: int, hop: int) -> None:
    with pytest.raises(ValueError, match=str(hop)):
        pad_for_windows(torch.zeros(1, 640), window=window, hop=hop)


def test_steps_are_averaged_frame_by_frame() -> None:
    steps = torch.tensor([[[1.0, 10.0], [3.0, 30.0], [5.0, 0.0], [6.0, 1.0]]])
    assert pool_steps(steps, per_frame=2).tolist() == [[[2.0, 5.5], [20.0, 0.5]]]
    with pytest.raises(ValueError, match="3"):
        pool_steps(steps[:, :3], per_frame=2)


def test_normalisation_is_that_of_the_published_feature_extractor() -> None:
    from transformers import Wav2Vec2FeatureExtractor

    audio = noise(4, batch=2) + torch.tensor([[0.3], [-0.1]])
    extractor = Wav2Vec2FeatureExtractor(do_normalize=True)
    wanted = extractor(list(audio.numpy()), sampling_rate=16_000, return_tensors="pt").input_values
    torch.testing.assert_close(normalise_utterance(audio), wanted, atol=1e-5, rtol=1e-5)
    assert not normalise_utterance(torch.zeros(1, 640)).any()


def test_layers_are_counted_from_the_input_of_the_first() -> None:
    assert [chosen_layer(n, layers=12) for n in (-1, -13, 0, 12, 5)] == [12, 0, 0, 12, 5]
    for wrong in (13, -14):
        with pytest.raises(UsageError, match=f"no layer {wrong}"):
            chosen_layer(wrong, layers=12)


def test_a_mix_begins_as_the_mean_and_learns() -> None:
    mix, states = LayerMix(states=3), [torch.full((1, 2, 4), float(n)) for n in range(3)]
    torch.testing.assert_close(mix(states), torch.ones(1, 2, 4))
    mix.weights.data[2] = 50.0
    torch.testing.assert_close(mix(states), states[2])
    with pytest.raises(ValueError):
        mix(states[:2])


# ---------------------------------------------------------------------------------------------- VGGish


@pytest.fixture(scope="module")
def small_vggish() -> vggish.Vggish:
    torch.manual_seed(0)
    return vggish.vggish(width=4).eval()


def test_the_spectrogram_is_vggishs_own(small_vggish: vggish.Vggish) -> None:
    from torchvggish import mel_features

    audio = noise(30)
    wanted = mel_features.log_mel_spectrogram(
        audio[0].double().numpy(),
        audio_sample_rate=16_000,
        log_offset=0.01,
        num_mel_bins=64,
        lower_edge_hertz=125,
        upper_edge_hertz=7500,
    )
    got = small_vggish.logmel(audio)[0]
    torch.testing.assert_close(got.double(), torch.from_numpy(wanted), atol=2e-4, rtol=1e-4)


def test_a_row_is_the_published_embedding_of_the_patch_around_its_frame(
    small_vggish: vggish.Vggish,
) -> None:
    from torchvggish import vggish_input

    audio, row = noise(40), 20
    middle = 640 * row + 320
    patch = audio[0, middle - 7800 : middle + 7800].double().numpy()
    examples = vggish_input.waveform_to_examples(patch, 16_000)
    assert examples.shape == (1, 1, 96, 64)
    with torch.no_grad():
        wanted, rows = small_vggish.network(examples)[0], small_vggish(audio)
    assert rows.shape == (1, 128, 40)
    torch.testing.assert_close(rows[0, :, row], wanted, atol=1e-5, rtol=1e-4)
    assert not torch.allclose(rows[0, :, row + 1], wanted, atol=1e-5, rtol=1e-4)


def test_vggish_looks_as_far_back_as_ahead(small_vggish: vggish.Vggish) -> None:
    seen = influence(small_vggish, 14, 29).nonzero().flatten()
    middle = 640 * 14 + 320
    # The first sample of a periodic Hann window counts nothing.
    assert (int(seen[0]), int(seen[-1])) == (middle - 7800 + 1, middle + 7800 - 1)


def test_vggish_goes_in_pieces_when_nothing_is_trained(small_vggish: vggish.Vggish) -> None:
    sizes = []
    hook = small_vggish.network.register_forward_hook(lambda m, given, out: sizes.append(len(out)))
    try:
        with torch.no_grad():
            rows = small_vggish(noise(20, batch=2))
            pieces, whole = list(sizes), small_vggish.train()(noise(20, batch=2))
    finally:
        hook.remove()
        small_vggish.eval()
    assert pieces == [32, 8]
    assert sizes[len(pieces) :] == [40]
    torch.testing.assert_close(rows, whole)


def test_the_full_vggish_has_the_published_tensors() -> None:
    with torch.device("meta"):
        state = vggish.vggish().network.state_dict()
    shapes = {key: tuple(value.shape) for key, value in state.items()}
    assert sum(value.numel() for value in state.values()) == 72_141_184
    assert shapes["features.0.weight"] == (64, 1, 3, 3)
    assert shapes["embeddings.0.weight"] == (4096, 12288)
    assert shapes["embeddings.4.bias"] == (128,)
    assert len(shapes) == 18
    with torch.device("meta"):
        assert set(vggish.vggish(width=4).state_dict()) == set(vggish.vggish().state_dict())


def published_vggish(path: Path, change: Callable[[dict], None] = lambda state: None) -> Path:
    """A file as torchvggish publishes it, of a narrow network."""
    torch.manual_seed(5)
    state = dict(vggish.vggish(width=4).network.state_dict())
    change(state)
    torch.save(state, path)
    return path


def taking(width: int = 4) -> vggish.Vggish:
    """A narrow VGGish that takes files of its width for the published one."""
    made = vggish.vggish(width=width)
    made.width = 64
    return made


def test_vggish_takes_the_published_file(tmp_path: Path) -> None:
    made = taking()
    path = published_vggish(tmp_path / "vggish.pth")
    made.load_published(path)
    state = torch.load(path, weights_only=True)
    assert all(torch.equal(value, state[key]) for key, value in made.network.state_dict().items())


def test_vggish_refuses_other_files(tmp_path: Path) -> None:
    path = tmp_path / "vggish.pth"
    with pytest.raises(MissingError):
        taking().load_published(path)
    with pytest.raises(WeightsError, match="option width"):
        vggish.vggish(width=4).load_published(published_vggish(path))
    published_vggish(path, lambda state: state.pop("embeddings.2.bias"))
    with pytest.raises(WeightsError, match=r"missing: embeddings\.2\.bias"):
        taking().load_published(path)
    published_vggish(path, lambda state: state.update({"other.weight": torch.zeros(1)}))
    with pytest.raises(WeightsError, match=r"other\.weight"):
        taking().load_published(path)
    with pytest.raises(WeightsError, match="other shape"):
        taking(8).load_published(published_vggish(path))


def test_a_width_that_is_none_is_refused() -> None:
    for wrong in (0, -1, 2.5):
        with pytest.raises(UsageError, match="width"):
            vggish.vggish(width=wrong)


# ----------------------------------------------------------------------------------- speech transformers


@each_kind
def test_the_two_steps_of_a_frame_lie_symmetrically_about_its_middle(
    factory: str, norm: str
) -> None:
    # Without what looks at the whole audio, the exact reach of a row can be seen.
    made = encoder(factory, layer=0, norm="layer", normalise=False)
    conv = made.network.encoder.pos_conv_embed.conv
    conv.parametrizations.weight.original0.data.zero_()  # the length of its weights
    seen = influence(made, 3, 7).nonzero().flatten()
    assert (int(seen[0]), int(seen[-1])) == (640 * 3 - 40, 640 * 4 + 40 - 1)


@pytest.mark.parametrize("norm", ["group", "layer"])
def test_a_shorter_network_is_a_layer_of_the_whole_one(tmp_path: Path, norm: str) -> None:
    folder = published(tmp_path, "Wav2Vec2Model", norm=norm)
    whole = from_folder(folder, "Wav2Vec2Model")
    audio = noise(6, batch=2) + 0.2
    given = torch.nn.functional.pad(normalise_utterance(audio), (40, 40))
    with torch.no_grad():
        out = whole(given, output_hidden_states=True)
    states = [*out.hidden_states[:3], out.last_hidden_state]
    for layer in (0, 1, 2, 3, -1):
        made = encoder("wav2vec2_base", norm=norm, layer=layer)
        made.load_published(folder)
        with torch.no_grad():
            rows = made(audio)
        assert rows.shape == (2, 16, 6)
        wanted = states[layer].reshape(2, 6, 2, 16).mean(2).transpose(1, 2)
        torch.testing.assert_close(rows, wanted, atol=1e-5, rtol=1e-4)
    mixed = encoder("wav2vec2_base", norm=norm, mix=True)
    mixed.load_published(folder)
    wanted = torch.stack(states).mean(0).reshape(2, 6, 2, 16).mean(2).transpose(1, 2)
    torch.testing.assert_close(mixed(audio), wanted, atol=1e-5, rtol=1e-4)


@each_kind
@pytest.mark.parametrize("options", [{}, {"mix": True}, {"layer": 1}, {"layer": 0, "mix": True}])
def test_nothing_is_dead_and_training_works(factory: str, norm: str, options: dict) -> None:
    made = encoder(factory, norm=norm, **options).train()
    rows = made(noise(4, batch=2).requires_grad_())
    (rows * torch.randn_like(rows)).sum().backward()
    dead = [key for key, p in made.named_parameters() if p.grad is None or not p.grad.any()]
    assert dead == []


@each_kind
def test_training_neither_masks_nor_skips(factory: str, norm: str) -> None:
    made = encoder(factory, norm=norm)
    audio = noise(30)
    with torch.no_grad():
        wanted = made(audio)
        made.train()
        for module in made.modules():
            if isinstance(module, nn.Dropout):
                module.p = 0.0
            elif isinstance(getattr(module, "dropout", None), float):
                module.dropout = 0.0
        for _ in range(3):
            torch.testing.assert_close(made(audio), wanted, atol=1e-5, rtol=1e-5)
    assert made.network.config.layerdrop == 0


def test_silence_and_a_single_frame_have_finite_embeddings() -> None:
    for factory, norm in KINDS:
        made = encoder(factory, norm=norm)
        with torch.no_grad():
            assert made(torch.zeros(1, 640 * 3)).isfinite().all()
            assert made(noise(1)).shape == (1, 16, 1)


def test_wrong_options_are_refused() -> None:
    for wrong in ({"norm": "batch"}, {"size": 20}, {"size": 0}, {"layer": 4}):
        with pytest.raises(UsageError):
            encoder("hubert_base", **wrong)


@pytest.mark.parametrize(
    ("factory", "parameters"),
    [("wav2vec2_base", 94_370_944), ("hubert_base", 94_370_944), ("hubert_large", 315_437_696)],
)
def test_the_full_networks_have_the_published_size(factory: str, parameters: int) -> None:
    """As published, less the vector that stands for masked steps (768 or 1024 numbers)."""
    with torch.device("meta"):
        made = getattr(speech_transformers, factory)()
    assert sum(p.numel() for p in made.parameters()) == parameters


# --------------------------------------------------------------------------- folders as the hub gives them


def published(
    folder: Path, kind: str, *, norm: str = "group", do_normalize: bool = True, **changes: object
) -> Path:
    """A small published network: its configuration, its tensors and its feature extractor."""
    import transformers

    family = "Hubert" if kind.startswith("Hubert") else "Wav2Vec2"
    own = encoder(f"{family.lower()}_base", norm=norm).network.config.to_dict()
    fields = {**own, "mask_time_prob": 0.05, "layerdrop": 0.1, "apply_spec_augment": True}
    fields |= {"codevector_dim": 8, "proj_codevector_dim": 8, **changes}
    torch.manual_seed(9)
    model = getattr(transformers, kind)(getattr(transformers, f"{family}Config")(**fields))
    model.save_pretrained(folder)
    extractor = transformers.Wav2Vec2FeatureExtractor(do_normalize=do_normalize)
    extractor.save_pretrained(folder)
    return folder


def from_folder(folder: Path, kind: str) -> nn.Module:
    """The network as the library itself reads it."""
    import transformers

    return getattr(transformers, kind).from_pretrained(folder).eval()


def as_pytorch_file(folder: Path) -> None:
    """Turn a folder into the older form: ``pytorch_model.bin`` with the old names of weight norm."""
    state = load_file(folder / "model.safetensors")
    names = {".parametrizations.weight.original0": ".weight_g"}
    names[".parametrizations.weight.original1"] = ".weight_v"
    for new, old in names.items():
        state = {key.replace(new, old): value for key, value in state.items()}
    assert any(key.endswith("weight_g") for key in state)
    torch.save(state, folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()


CHECKPOINTS = ["Wav2Vec2Model", "Wav2Vec2ForPreTraining", "Wav2Vec2ForCTC"]
CHECKPOINTS += ["HubertModel", "HubertForCTC"]


@pytest.mark.parametrize("old", [False, True], ids=["safetensors", "bin"])
@pytest.mark.parametrize("kind", CHECKPOINTS)
def test_published_folders_are_taken(tmp_path: Path, kind: str, old: bool, capfd) -> None:
    from transformers.utils import logging

    folder = published(tmp_path, kind)
    model = from_folder(folder, kind)
    wanted = getattr(model, model.base_model_prefix, model).state_dict()
    if old:
        as_pytorch_file(folder)
    made = encoder("hubert_base" if kind.startswith("Hubert") else "wav2vec2_base")
    before = {key: value.clone() for key, value in made.network.state_dict().items()}
    verbosity = logging.get_verbosity(), logging.is_progress_bar_enabled()
    capfd.readouterr()
    made.load_published(folder)
    assert capfd.readouterr() == ("", "")
    assert (logging.get_verbosity(), logging.is_progress_bar_enabled()) == verbosity
    after = made.network.state_dict()
    assert set(after) == set(wanted) - {"masked_spec_embed"}
    assert all(torch.equal(after[key], wanted[key]) for key in after)
    assert any(not torch.equal(after[key], before[key]) for key in after)


def test_a_configuration_or_a_folder_may_be_named(tmp_path: Path) -> None:
    folder = published(tmp_path, "HubertModel")
    one, other = encoder("hubert_base"), encoder("hubert_base", layer=2)
    one.load_published(folder)
    other.load_published(folder / "config.json")
    state = one.network.state_dict()
    assert all(torch.equal(value, state[key]) for key, value in other.network.state_dict().items())


@pytest.mark.parametrize(
    ("changes", "options", "named"),
    [
        ({}, {"size": 32}, "hidden_size is 16, not 32"),
        ({}, {"layers": 2}, "num_hidden_layers is 3, not 2"),
        ({}, {"channels": 4}, "conv_dim"),
        ({}, {"norm": "layer"}, "feat_extract_norm is 'group', not 'layer'"),
        ({"hidden_act": "relu"}, {}, "hidden_act is 'relu', not 'gelu'"),
        ({"num_attention_heads": 2}, {}, "num_attention_heads is 2, not 1"),
        ({"do_normalize": False}, {}, "normalise=False"),
    ],
    ids=["size", "layers", "channels", "norm", "activation", "heads", "normalise"],
)
def test_a_folder_of_another_network_is_refused_by_what_differs(
    tmp_path: Path, changes: dict, options: dict, named: str
) -> None:
    folder = published(tmp_path, "Wav2Vec2Model", **changes)
    with pytest.raises(WeightsError, match=named):
        encoder("wav2vec2_base", **options).load_published(folder)


def test_a_network_of_another_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="holds a hubert network"):
        encoder("wav2vec2_base").load_published(published(tmp_path, "HubertModel"))


def test_missing_and_other_tensors_are_named(tmp_path: Path) -> None:
    folder = published(tmp_path, "Wav2Vec2ForPreTraining")
    made = encoder("wav2vec2_base")
    before = {key: value.clone() for key, value in made.network.state_dict().items()}
    path = folder / "model.safetensors"
    state = load_file(path)
    part = {
        k: v for k, v in state.items() if k != "wav2vec2.encoder.layers.1.attention.k_proj.bias"
    }
    save_file(part, path, metadata={"format": "pt"})
    with pytest.raises(WeightsError, match=r"missing: encoder\.layers\.1\.attention\.k_proj\.bias"):
        made.load_published(folder)
    bent = {**state, "wav2vec2.feature_projection.projection.bias": torch.zeros(5)}
    save_file(bent, path, metadata={"format": "pt"})
    with pytest.raises(WeightsError, match=r"shape: feature_projection\.projection\.bias \(1\)"):
        made.load_published(folder)
    after = made.network.state_dict()
    assert all(torch.equal(after[key], before[key]) for key in before)
    # What is above the chosen layer need not be there.
    top = {k: v for k, v in state.items() if "encoder.layers.2" not in k}
    save_file(top, path, metadata={"format": "pt"})
    encoder("wav2vec2_base", layer=2).load_published(folder)


class Trap:
    """Runs a command when it is unpickled."""

    def __init__(self, sign: Path) -> None:
        self.sign = sign

    def __reduce__(self) -> tuple:
        return os.mkdir, (str(self.sign),)


def test_a_file_that_would_run_code_is_refused(tmp_path: Path) -> None:
    folder, sign = published(tmp_path / "net", "Wav2Vec2Model"), tmp_path / "it ran"
    (folder / "model.safetensors").unlink()
    for write in (torch.save, lambda thing, path: path.write_bytes(pickle.dumps(thing, 2))):
        write({"feature_projection.projection.bias": Trap(sign)}, folder / "pytorch_model.bin")
        with pytest.raises(WeightsError, match="cannot be read"):
            encoder("wav2vec2_base").load_published(folder)
        assert not sign.exists()
    Trap(sign).__reduce__()[0](*Trap(sign).__reduce__()[1])
    assert sign.exists()  # so that the trap is one


def test_broken_and_empty_folders_are_told(tmp_path: Path) -> None:
    made = encoder("wav2vec2_base")
    with pytest.raises(MissingError, match=r"no config\.json"):
        made.load_published(tmp_path)
    folder = published(tmp_path / "net", "Wav2Vec2Model")
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(WeightsError, match="cannot be read"):
        made.load_published(folder)
    path.unlink()
    with pytest.raises(MissingError, match=r"no model\.safetensors"):
        made.load_published(folder)
    for text in ("{", json.dumps([])):
        (folder / "config.json").write_text(text)
        with pytest.raises(WeightsError, match=r"config\.json"):
            made.load_published(folder)


def test_a_part_of_a_published_network_can_be_taken(tmp_path: Path) -> None:
    from transformers import WhisperConfig, WhisperModel
    from transformers.models.whisper.modeling_whisper import WhisperEncoder

    sizes = {"d_model": 16, "encoder_layers": 2, "encoder_attention_heads": 2, "vocab_size": 20}
    sizes |= {"decoder_layers": 1, "decoder_attention_heads": 2, "num_mel_bins": 8}
    sizes |= {"encoder_ffn_dim": 16, "decoder_ffn_dim": 16, "max_source_positions": 20}
    sizes |= {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 1}
    config = WhisperConfig(**sizes)
    whole = WhisperModel(config)
    whole.save_pretrained(tmp_path)
    mine = WhisperEncoder(config)
    load_transformers(
        mine, tmp_path, name="whisper", same=["d_model"], whole=WhisperModel, part="encoder"
    )
    wanted = whole.encoder.state_dict()
    assert all(torch.equal(value, wanted[key]) for key, value in mine.state_dict().items())
    path = tmp_path / "model.safetensors"
    state = load_file(path)
    assert "encoder.conv1.bias" in state
    state.pop("encoder.conv1.bias")
    save_file(state, path, metadata={"format": "pt"})
    with pytest.raises(WeightsError, match=r"missing: encoder\.conv1\.bias"):
        load_transformers(mine, tmp_path, name="whisper", whole=WhisperModel, part="encoder")


# ----------------------------------------------------------------------------------- gradual unfreezing


def thawed(network: nn.Module, epoch: int) -> set[str]:
    """Names of what is trained in an epoch, one more group each from epoch 2 on."""
    model = SimpleNamespace(audio_encoder=network)
    LayerGroups(model, Unfreezing(epoch=2)).at(epoch)
    return {name for name, p in network.named_parameters() if p.requires_grad}


@each_kind
def test_speech_transformers_thaw_layer_by_layer(factory: str, norm: str) -> None:
    made = encoder(factory, norm=norm)
    assert thawed(made, 1) == set()
    stages, before = [], set()
    for epoch in range(2, 2 + len(made.pretrained)):
        now = thawed(made, epoch)
        assert now > before
        stages.append({".".join(name.split(".")[1:4]) for name in now - before})
        before = now
    assert before == {name for name, _ in made.named_parameters()}
    blocks = [{part.split(".")[0] for part in stage} for stage in stages]
    assert blocks[-2:] == [{"feature_projection"}, {"feature_extractor"}]
    tops = [{"encoder.layer_norm.weight", "encoder.layer_norm.bias"}] if norm == "layer" else []
    assert stages[: len(tops) + 3] == [*tops, *({f"encoder.layers.{n}"} for n in (2, 1, 0))]
    assert "encoder.pos_conv_embed.conv" in stages[len(tops) + 3]


def test_what_was_added_to_a_published_network_is_trained_from_the_start() -> None:
    assert thawed(encoder("wav2vec2_base", mix=True), 1) == {"mix.weights"}


def test_vggish_thaws_layer_by_layer() -> None:
    made = vggish.vggish(width=2)
    assert thawed(made, 2) == {"network.embeddings.4.weight", "network.embeddings.4.bias"}
    assert len(thawed(made, 4)) == 6
    assert "network.features.0.weight" not in thawed(made, 9)
    assert len(thawed(made, 10)) == 18
