"""The tensors of a folder of the Hub: from its own files alone; nothing else in it leads anywhere."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import HubertConfig, HubertModel

from synctool.errors import MissingError, WeightsError
from synctool.weights.hub_tensors import hub_tensors
from synctool.weights.transformers_folder import load_transformers

A, B = {"a": torch.ones(2)}, {"b": torch.zeros(3)}


def sharded(folder: Path, names: dict[str, object] | None = None) -> Path:
    """A folder with two shards, and an index that says where tensors are."""
    folder.mkdir()
    save_file(A, folder / "model-1.safetensors")
    save_file(B, folder / "model-2.safetensors")
    names = names or {"a": "model-1.safetensors", "b": "model-2.safetensors"}
    index = {"metadata": {}, "weight_map": names}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    return folder


def test_shards_are_put_together(tmp_path: Path) -> None:
    assert hub_tensors(sharded(tmp_path / "f")).keys() == {"a", "b"}


@pytest.mark.parametrize(
    "name",
    [
        "../outside.safetensors",
        "..",
        "sub/x.safetensors",
        "sub\\x.safetensors",
        "c:x.safetensors",
        "a\0.safetensors",
        "",
        ".safetensors",
        "pytorch_model.bin",
        "ABSOLUTE",
        3,
        None,
        ["model-1.safetensors"],
    ],
)
def test_shards_have_plain_names(name: object, tmp_path: Path) -> None:
    save_file(A, tmp_path / "outside.safetensors")
    named = str(tmp_path / "outside.safetensors") if name == "ABSOLUTE" else name
    folder = sharded(tmp_path / "f", {"a": named, "b": "model-2.safetensors"})
    (folder / "sub").mkdir()
    save_file(A, folder / "sub" / "x.safetensors")
    torch.save(A, folder / "pytorch_model.bin")
    with pytest.raises(WeightsError, match=r"index\.json"):
        hub_tensors(folder)


@pytest.mark.parametrize("text", ["[]", "{", '{"weight_map": []}', "{}", '{"weight_map": {}}'])
def test_an_index_that_is_none(text: str, tmp_path: Path) -> None:
    folder = sharded(tmp_path / "f")
    (folder / "model.safetensors.index.json").write_text(text)
    with pytest.raises(WeightsError, match=r"index\.json"):
        hub_tensors(folder)


@pytest.mark.parametrize("name", ["model-1.safetensors", "model.safetensors.index.json"])
def test_links_out_of_the_folder_are_not_followed(name: str, tmp_path: Path) -> None:
    folder = sharded(tmp_path / "f")
    (folder / name).rename(tmp_path / "outside")
    (folder / name).symlink_to(tmp_path / "outside")
    with pytest.raises(WeightsError, match="link out of its folder"):
        hub_tensors(folder)


def test_the_hubs_own_cache_is_made_of_links(tmp_path: Path) -> None:
    folder = tmp_path / "models--x" / "snapshots" / "0"
    (tmp_path / "models--x" / "blobs").mkdir(parents=True)
    folder.mkdir(parents=True)
    save_file(A, tmp_path / "models--x" / "blobs" / "1234")
    (folder / "model.safetensors").symlink_to("../../blobs/1234")
    assert hub_tensors(folder).keys() == {"a"}


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    folder = sharded(tmp_path / "f")
    (folder / "model-1.safetensors").unlink()
    os.mkfifo(folder / "model-1.safetensors")
    with pytest.raises(WeightsError, match="no regular file"):
        hub_tensors(folder)


def test_an_adapter_is_no_network(tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_text('{"base_model_name_or_path": "/elsewhere"}')
    save_file(A, tmp_path / "adapter_model.safetensors")
    with pytest.raises(MissingError, match="adapter"):
        hub_tensors(tmp_path)


def test_nothing_else_in_a_folder_leads_anywhere(tmp_path: Path) -> None:
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    sizes |= {"intermediate_size": 16, "conv_dim": (8,), "conv_kernel": (4,), "conv_stride": (2,)}
    sizes |= {"num_conv_pos_embeddings": 4, "num_conv_pos_embedding_groups": 2, "vocab_size": 4}
    config = HubertConfig(**sizes)
    theirs, mine = HubertModel(config), HubertModel(config)
    theirs.save_pretrained(tmp_path)
    mark = tmp_path / "mark"
    code = f"from pathlib import Path\nPath({str(mark)!r}).touch()\n"
    for name in ("modeling_x.py", "configuration_x.py", "custom_generate.py"):
        (tmp_path / name).write_text(code)
    facts = json.loads((tmp_path / "config.json").read_text())
    facts |= {"auto_map": {"AutoModel": "modeling_x.X", "AutoConfig": "configuration_x.C"}}
    facts |= {"trust_remote_code": True, "quantization_config": {"quant_method": "gptq", "bits": 4}}
    facts |= {"transformers_weights": "../elsewhere.safetensors"}
    (tmp_path / "config.json").write_text(json.dumps(facts))
    (tmp_path / "adapter_config.json").write_text('{"base_model_name_or_path": "/elsewhere"}')
    (tmp_path / "pytorch_model.bin").write_bytes(b"not looked at")
    load_transformers(mine, tmp_path, name="hubert")
    assert not mark.exists()
    wanted = load_file(tmp_path / "model.safetensors")
    assert wanted and all(torch.equal(mine.state_dict()[k], v) for k, v in wanted.items())
