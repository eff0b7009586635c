"""Weight files: read without running anything, and refused with words that help."""

from __future__ import annotations

import io
import os
import pickle
import re
import zipfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from synctool.cache import remember
from synctool.errors import MissingError, WeightsError
from synctool.networks.load import load_model
from synctool.plugins import registry
from synctool.plugins.specs import WeightsSpec
from synctool.weights.files import cache_folder, find_weights, fit, load_weights

ran = False


def mark_as_run() -> None:
    """What a pickle in these tests would run."""
    global ran
    ran = True


class Trap:
    """Unpickling it runs code."""

    def __reduce__(self):
        return mark_as_run, ()


@pytest.fixture
def tiny() -> nn.Module:
    return nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))


@pytest.fixture
def own(tiny: nn.Module, tmp_path: Path) -> Path:
    """An audio file of ``tiny``."""
    save_file(tiny.state_dict(), tmp_path / "tiny.safetensors", {"zero_frames": "0.25"})
    return tmp_path / "tiny.safetensors"


# --------------------------------------------------------------------------------------- reading


def test_safetensors_with_label_and_header(own: Path, tiny: nn.Module) -> None:
    loaded = load_weights(own)
    assert loaded.state.keys() == tiny.state_dict().keys()
    assert re.fullmatch(r"tiny sha256:[0-9a-f]{16}", loaded.label)
    assert loaded.metadata == {"zero_frames": "0.25"}
    assert load_weights(own, name="tiny.v7").label.startswith("tiny.v7 sha256:")


def test_the_label_tells_files_apart(own: Path, tiny: nn.Module) -> None:
    before = load_weights(own).label
    with torch.no_grad():
        tiny[0].weight += 1
    save_file(tiny.state_dict(), own)
    assert load_weights(own).label != before


@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize("suffix", [".pt", ".pth", ".model", ""])
def test_files_of_pytorch(tiny: nn.Module, tmp_path: Path, suffix: str, old: bool) -> None:
    path = tmp_path / f"tiny{suffix}"
    torch.save(tiny.state_dict(), path, _use_new_zipfile_serialization=not old)
    loaded = load_weights(path)
    torch.testing.assert_close(loaded.state["0.weight"], tiny[0].weight.detach())
    assert loaded.metadata == {}


def refused(path: Path) -> WeightsError:
    with pytest.raises(WeightsError) as caught:
        load_weights(path)
    assert path.name in caught.value.cause
    assert caught.value.remedy
    assert caught.value.exit_code == 1
    return caught.value


@pytest.mark.parametrize("zipped", [False, True])
def test_code_in_a_pickle_never_runs(tmp_path: Path, zipped: bool) -> None:
    path = tmp_path / "evil.pt"
    content = {"0.weight": torch.zeros(2, 3), "x": Trap()}
    if zipped:
        torch.save(content, path)
    else:
        path.write_bytes(pickle.dumps(content))
    error = refused(path)
    assert not ran
    assert "never loaded" in error.remedy
    torch.load(path, weights_only=False) if zipped else pickle.loads(path.read_bytes())
    assert ran, "the trap must be one, or the test proves nothing"


@pytest.fixture(autouse=True)
def disarm() -> None:
    global ran
    ran = False


@pytest.mark.parametrize("keep", [0, 5, 60, 0.5])
@pytest.mark.parametrize("name", ["cut.safetensors", "cut.pt"])
def test_damaged_files(tiny: nn.Module, tmp_path: Path, name: str, keep: float) -> None:
    path = tmp_path / name
    if path.suffix == ".pt":
        torch.save(tiny.state_dict(), path)
    else:
        save_file(tiny.state_dict(), path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * keep) if isinstance(keep, float) else keep])
    refused(path)


def test_files_that_are_no_weights(tmp_path: Path) -> None:
    text, archive = tmp_path / "a.safetensors", tmp_path / "b.pt"
    text.write_text("no weights at all, but a text of some length")
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("readme.txt", "hello")
    refused(text)
    refused(archive)


@pytest.mark.parametrize("content", [[torch.zeros(2)], {"a": 1}, {"state": {"a": torch.zeros(1)}}])
def test_a_file_that_is_no_set_of_tensors(tmp_path: Path, content: object) -> None:
    torch.save(content, tmp_path / "a.pt")
    assert "no plain set of tensors" in refused(tmp_path / "a.pt").cause


def test_no_such_file(tmp_path: Path) -> None:
    for path in (tmp_path / "none.pt", tmp_path):
        with pytest.raises(MissingError, match="no such weights") as caught:
            load_weights(path)
        assert caught.value.exit_code == 5


@pytest.mark.skipif(
    os.name != "posix" or os.geteuid() == 0, reason="nothing is unreadable for the superuser"
)
def test_an_unreadable_file(own: Path) -> None:
    own.chmod(0)
    with pytest.raises(MissingError, match="cannot read"):
        load_weights(own)


# --------------------------------------------------------------------------------------- fitting


def test_weights_are_put_in(own: Path, tiny: nn.Module) -> None:
    other = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    fit(other, load_weights(own), backbone="tiny")
    torch.testing.assert_close(other.state_dict(), tiny.state_dict())


def test_old_files_lack_counters_of_batches(own: Path, tiny: nn.Module) -> None:
    loaded = load_weights(own)
    del loaded.state["1.num_batches_tracked"]
    fit(tiny, loaded, backbone="tiny")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda s: s.pop("0.bias"), "missing: 0.bias (1)"),
        (lambda s: s.update(extra=torch.zeros(1)), "not its own: extra (1)"),
        (lambda s: s.update({"0.weight": torch.zeros(5, 3)}), "other shape: 0.weight (1)"),
    ],
)
def test_what_does_not_fit_is_named(own: Path, tiny: nn.Module, change, told: str) -> None:
    loaded = load_weights(own)
    change(loaded.state)
    with pytest.raises(WeightsError) as caught:
        fit(tiny, loaded, backbone="tiny.x")
    assert told in caught.value.cause
    assert "tiny.x" in caught.value.cause
    assert "--backbone" in caught.value.remedy


def test_many_keys_are_not_all_listed(own: Path) -> None:
    with pytest.raises(WeightsError) as caught:
        fit(nn.Sequential(*[nn.Linear(1, 1) for _ in range(40)]), load_weights(own), backbone="x")
    assert "..." in caught.value.cause
    assert len(caught.value.cause) < 300


# --------------------------------------------------------------------------------------- finding


def test_no_trained_weights_gives_the_command_that_trains_them() -> None:
    with pytest.raises(MissingError) as caught:
        find_weights(None, backbone="fcn-cls.rgb112")
    assert "synctool train --backbone fcn-cls.rgb112" in caught.value.remedy
    assert "--weights" in caught.value.remedy


def test_weights_to_be_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYNCTOOL_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path
    spec = WeightsSpec(name="net.v1", licence="free", file_name="net.model")
    with pytest.raises(MissingError) as caught:
        find_weights(spec, backbone="net")
    assert str(tmp_path / "net.model") in caught.value.remedy
    (tmp_path / "net.model").write_bytes(b"")
    assert find_weights(spec, backbone="net") == tmp_path / "net.model"


def test_weights_of_the_catalogue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYNCTOOL_CACHE", str(tmp_path / "cache"))
    spec = registry.backbones.get("syncnet").weights
    with pytest.raises(MissingError) as caught:
        find_weights(spec, backbone="syncnet")
    assert "synctool download syncnet" in caught.value.remedy
    assert "--weights FILE" in caught.value.remedy
    assert spec.file_name in {f.path for f in registry.catalogue.get(spec.catalogue).files}
    chosen = tmp_path / "chosen" / spec.file_name
    chosen.parent.mkdir()
    chosen.write_bytes(b"")
    remember(spec.catalogue, chosen.parent)
    assert find_weights(spec, backbone="syncnet") == chosen
    usual = tmp_path / "cache" / "syncnet" / spec.file_name
    usual.parent.mkdir()
    usual.write_bytes(b"")
    assert find_weights(spec, backbone="syncnet") == usual


def test_the_cache_is_where_the_platform_keeps_such_things(monkeypatch) -> None:
    monkeypatch.delenv("SYNCTOOL_CACHE", raising=False)
    assert cache_folder().parts[-2:] == ("synctool", "weights")


def test_a_bundled_file_that_is_gone() -> None:
    spec = WeightsSpec(name="net.v1", licence="free", bundled="none.safetensors")
    with pytest.raises(MissingError, match="not here") as caught:
        find_weights(spec, backbone="net")
    assert "again" in caught.value.remedy


def test_the_bundled_weights_are_found_and_fit() -> None:
    spec = registry.backbones.get("fcn-cls")
    assert find_weights(spec.weights, backbone="fcn-cls").is_file()
    model = load_model("fcn-cls", device="cpu", runtime="torch")
    assert re.fullmatch(r"fcn-cls\.v7 sha256:[0-9a-f]{16}", model.weights)
    assert not model.network.training
    assert abs(model.zero_frames) < 5
    assert 0 <= model.calibration.probability(3.0, 1.0, 100, False) <= 1
    exported = load_model("fcn-cls", device="cpu")
    assert exported.weights == model.weights, "exported again whenever the weights change"
    assert exported.calibration == model.calibration


def test_weights_given_by_hand_keep_their_own_name(tmp_path: Path) -> None:
    import flicker

    with flicker.installed():
        path = flicker.save_weights(tmp_path / "mine.safetensors", zero_frames="0.5")
        model = load_model("flicker", weights=path, device="cpu")
        assert model.weights.startswith("mine sha256:")
        assert model.zero_frames == 0.5
        buffer = io.BytesIO()
        torch.save(model.network.state_dict(), buffer)
        (tmp_path / "other.pt").write_bytes(buffer.getvalue())
        assert load_model("flicker", weights=tmp_path / "other.pt").zero_frames == 0.0


@pytest.mark.parametrize(
    "header",
    [
        {"zero_frames": "much"},
        {"zero_frames": "nan"},
        {"zero_frames": "1e9"},
        {"calibration": "{"},
        {"calibration": "[1]"},
        {"calibration": '{"intercept": 1}'},
    ],
)
def test_a_damaged_header_is_said(tmp_path: Path, header: dict[str, str]) -> None:
    from synctool.networks.build import build
    from synctool.networks.load import load_model
    from synctool.training.checkpoint import save_weights

    save_weights(tmp_path / "a.safetensors", build("fcn-cls")[1].state_dict(), header)
    with pytest.raises(WeightsError):
        load_model(weights=tmp_path / "a.safetensors", device="cpu")
