"""The video encoder ``pe-video``: the contract, and published folders in small."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import PeVideoModel
from transformers.models.pe_video.configuration_pe_video import PeVideoConfig

from synctool.errors import UsageError, WeightsError
from synctool.testing import CHECKS
from synctool_plugin_videotransformers import synctool_backbones
from synctool_plugin_videotransformers.pe_video import PEVideoEncoder

(SPEC,) = [spec for spec in synctool_backbones() if spec.name == "pe-video"]
TOWER = {
    **{"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "head_dim": 8},
    "intermediate_size": 16,
    "vision_config": {
        **{"architecture": "vit_pe_core_large_patch14_336", "num_labels": 8},
        "model_args": {"depth": 1, "embed_dim": 16, "num_heads": 2, "img_size": 28},
    },
}
TEXT = {
    **{"model_type": "modernbert", "hidden_size": 16, "intermediate_size": 8, "vocab_size": 9},
    **{"num_hidden_layers": 1, "num_attention_heads": 2, "pad_token_id": 0},
    **dict.fromkeys(("bos_token_id", "eos_token_id", "cls_token_id", "sep_token_id"), 1),
}


def network(**options: Any) -> PEVideoEncoder:
    torch.manual_seed(1)
    return PEVideoEncoder(**{**SPEC.small, **options}).eval()


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_contract(check: Callable[..., None]) -> None:
    check(SPEC)


def test_published_folders(tmp_path: Path) -> None:
    torch.manual_seed(2)
    whole = PeVideoModel(PeVideoConfig(text_config=TEXT, video_config=TOWER)).eval()
    whole.save_pretrained(tmp_path)
    ours, x = network(), torch.randn(2, 3, 4, 28, 28)
    ours.load_published(tmp_path)
    with torch.no_grad():
        wanted = whole.video_encoder(x.transpose(1, 2).contiguous()).last_hidden_state
        torch.testing.assert_close(ours(x), wanted.transpose(1, 2), atol=1e-5, rtol=1e-4)
    with pytest.raises(WeightsError, match="hidden_size is 16, not 32"):
        network(size=32).load_published(tmp_path)
    with pytest.raises(WeightsError, match=r"missing: .*blocks\.1\."):
        network(depth=2).load_published(tmp_path)


@pytest.mark.parametrize(
    ("options", "said"), [({"image_size": 30}, "30 px"), ({"width": 20}, "do not go together")]
)
def test_options_are_checked(options: dict[str, int], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        network(**options)
