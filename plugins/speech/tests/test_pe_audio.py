"""The audio encoder ``pe-audio``: the rate of its input, published folders in small."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import PeAudioModel
from transformers.models.pe_audio.configuration_pe_audio import PeAudioConfig

from synctool.errors import MissingError, UsageError, WeightsError
from synctool_plugin_speech import synctool_backbones
from synctool_plugin_speech.pe_audio import PEAudio

(SPEC,) = [spec for spec in synctool_backbones() if spec.name == "pe-audio"]
SMALL: dict[str, Any] = dict(SPEC.small)
TOWER = {
    **{"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "head_dim": 8},
    "intermediate_size": 16,
    "dac_config": {
        **{"model_type": "dac", "downsampling_ratios": [2, 8, 10, 12], "encoder_hidden_size": 2},
        **{"hidden_size": 8, "codebook_dim": 8},
    },
}
TEXT = {
    **{"model_type": "modernbert", "hidden_size": 16, "intermediate_size": 8, "vocab_size": 9},
    **{"num_hidden_layers": 1, "num_attention_heads": 2, "pad_token_id": 0},
    **dict.fromkeys(("bos_token_id", "eos_token_id", "cls_token_id", "sep_token_id"), 1),
}


def network(**options: Any) -> PEAudio:
    torch.manual_seed(1)
    return PEAudio(**{**SMALL, **options}).eval()


@pytest.fixture
def published(tmp_path: Path) -> PeAudioModel:
    """A folder as its publishers give it, text encoder and all; it lies in ``tmp_path``."""
    torch.manual_seed(2)
    whole = PeAudioModel(PeAudioConfig(text_config=TEXT, audio_config=TOWER)).eval()
    with torch.no_grad():
        for parameter in whole.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    whole.save_pretrained(tmp_path)
    return whole


def test_the_network_is_given_the_audio_at_three_times_its_rate() -> None:
    ours, seen = network(), []
    ours.network.register_forward_pre_hook(lambda module, given: seen.append(given[0]))
    times = torch.arange(640 * 4) / 16_000
    ours(torch.sin(2 * torch.pi * 440 * times)[None])
    fast = seen[0][0, 0]
    wanted = torch.sin(2 * torch.pi * 440 * torch.arange(1920 * 4) / 48_000)
    torch.testing.assert_close(fast[100:-100], wanted[100:-100], atol=2e-3, rtol=0)
    assert len(fast) == 1920 * 4


def test_rows_are_the_librarys(published: PeAudioModel, tmp_path: Path) -> None:
    ours, seen = network(), []
    ours.load_published(tmp_path)
    ours.network.register_forward_pre_hook(lambda module, given: seen.append(given[0]))
    with torch.no_grad():
        rows: Tensor = ours(0.1 * torch.randn(2, 640 * 5))
        wanted = published.audio_encoder(seen[0]).last_hidden_state
    torch.testing.assert_close(rows, wanted.transpose(1, 2), atol=1e-5, rtol=1e-4)


def test_what_does_not_fit_is_told(published: PeAudioModel, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="num_attention_heads is 2, not 4"):
        network(heads=4).load_published(tmp_path)
    with pytest.raises(WeightsError, match="other shape"):
        network(channels=4).load_published(tmp_path)
    with pytest.raises(MissingError):
        network().load_published(tmp_path / "nowhere")
    with pytest.raises(UsageError, match="heads of 7"):
        network(head_size=7)
    path = tmp_path / "model.safetensors"
    kept = {k: v for k, v in load_file(path).items() if not k.endswith("output.weight")}
    save_file(kept, path, {"format": "pt"})
    with pytest.raises(WeightsError, match=r"missing: output\.weight"):
        network().load_published(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(WeightsError, match="has no pe-audio"):
        network().load_published(tmp_path)
