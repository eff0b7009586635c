"""``backbones --profile``: what is counted is right, and one that fails costs the others nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from fake_plugins import FakePlugin
from synctool.cli.app import main
from synctool.errors import EXIT_MISSING, EXIT_OK, EXIT_UNEXPECTED, EXIT_USAGE, UsageError
from synctool.networks import profiles as processes
from synctool.networks.build import build
from synctool.networks.profile import Profile
from synctool.networks.profiles import profiles
from synctool.networks.profiling import SECONDS, measured
from synctool.plugins import loader as plugins
from synctool.plugins import registry
from synctool.plugins.loader import Plugins
from synctool.plugins.specs import AudioInput, BackboneSpec, WeightsSpec

pytestmark = pytest.mark.integration


class Strided(nn.Module):
    """One convolution: 64 bands times 4 steps to 8 numbers a frame."""

    def __init__(self) -> None:
        super().__init__()
        # As in wav2vec 2.0, whose weights are normalised.
        self.conv = weight_norm(nn.Conv1d(64, 8, 4, stride=4))

    def forward(self, audio: Tensor) -> Tensor:
        return self.conv(audio[:, 0])


STRIDED = BackboneSpec(
    name="strided", tag="one", role="audio", factory=f"{__name__}:Strided", summary="made up",
    audio=AudioInput(kind="logmel64"), embedding_size=8, default=True,
    weights=WeightsSpec(name="w", licence="MIT", catalogue="nowhere", file_name="w.pt"),
)  # fmt: skip

MEL = registry.backbones.get("fcn-mel")


@pytest.fixture
def strided() -> None:
    found = Plugins()
    found.register(FakePlugin(synctool_backbones=[STRIDED, MEL]), name="strided")
    with plugins.use(found):
        yield


def test_what_is_counted(strided: None) -> None:
    found = measured("strided", "cpu")
    assert found.parameters == 64 * 8 * 4 + 8 + 8, "with the length of every filter"
    assert found.multiply_adds == 25 * 64 * 8 * 4, "a second of video"
    assert found.embedding_size == 8
    assert found.times_real_time == pytest.approx(1000 / found.ms)
    assert found.memory_mb >= 0
    assert (found.weights, found.licence) == ("download", "MIT")


def test_a_pair_costs_what_its_halves_cost() -> None:
    with torch.device("meta"):
        parts = sum(p.numel() for p in build("fcn-mouth+fcn-mel")[1].parameters())
    pair = measured("fcn-mouth+fcn-mel", "cpu")
    assert pair.parameters == parts
    halves = [measured(name, "cpu").multiply_adds for name in ("fcn-mouth", "fcn-mel")]
    assert pair.multiply_adds > sum(halves), "the head comes on top"
    assert pair.multiply_adds < 1.05 * sum(halves)
    assert SECONDS * pair.times_real_time > 0


def test_one_that_fails_does_not_cost_the_others(
    strided: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The program measures in child processes, which know installed plugins only: not this network."""
    found: list[Profile] = []

    def kept(*given: Any, **more: Any) -> Iterator[Profile]:
        for profile in profiles(*given, **more):
            found.append(profile)
            yield profile

    monkeypatch.setattr(processes, "profiles", kept)
    assert main(["backbones", "--profile", "strided", "fcn-mel"]) == EXIT_UNEXPECTED
    failed, fine = found
    assert "there is no backbone 'strided'" in failed.error
    assert failed.multiply_adds is None
    assert (fine.name, fine.error) == ("fcn-mel", None)
    assert fine.multiply_adds > 1e7
    told = capsys.readouterr()
    head, *rows = told.out.splitlines()
    assert head.split()[:4] == ["NAME", "ROLE", "PARAMETERS", "MULTIPLY-ADDS/S"]
    assert rows[0].split()[:3] == ["strided", "audio", "-"]
    assert rows[1].split()[:2] == ["fcn-mel", "audio"]
    assert "there is no backbone" in told.err

    # They need not be measured again.
    monkeypatch.setattr(processes, "profiles", lambda names, **_: iter([failed, fine]))
    assert main(["backbones", "--profile", "strided", "fcn-mel", "--json", "-"]) == EXIT_UNEXPECTED
    assert json.loads(capsys.readouterr().out) == [failed.to_dict(), fine.to_dict()]
    monkeypatch.setattr(processes, "profiles", lambda names, **_: iter([fine]))
    assert main(["backbones", "--profile", "fcn-mel", "--json", "-"]) == EXIT_OK
    assert json.loads(capsys.readouterr().out) == [fine.to_dict()]


def test_names_are_checked_before_anything_is_measured() -> None:
    with pytest.raises(UsageError, match="resnet4d"):
        next(profiles(["fcn-mel", "resnet4d"]))


def test_a_wrong_name_gets_the_nearest(strided: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["backbones", "--profile", "stridet"]) == EXIT_USAGE
    assert "Did you mean strided" in capsys.readouterr().err


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_device_that_is_not_here() -> None:
    assert main(["backbones", "--profile", "fcn-mel", "--device", "cuda"]) == EXIT_MISSING
