"""Plugins that give something else than they promise: who is told what, and what still works."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from fake_plugins import (
    FakePlugin,
    backbone_spec,
    detector_spec,
    run_synctool,
    with_backbones,
    write_distribution,
)
from synctool.cli.app import main
from synctool.errors import (
    EXIT_OK,
    EXIT_UNEXPECTED,
    EXIT_USAGE,
    MissingError,
    PluginError,
    UsageError,
)
from synctool.networks.build import build
from synctool.plugins import loader as plugins
from synctool.plugins.loader import Plugins
from synctool.plugins.specs import BackboneSpec
from synctool.testing import run_checks

pytestmark = pytest.mark.integration

HERE = __name__


class Averages(nn.Module):
    """An audio encoder in full: what the others lack, this has."""

    def __init__(self, *, embedding: int = 8) -> None:
        super().__init__()
        self.out = nn.Conv1d(64, embedding, 1)

    def forward(self, audio: Tensor) -> Tensor:
        """``[B, 1, 64, 4T] -> [B, D, T]``."""
        return self.out(audio.squeeze(1).unflatten(2, (-1, 4)).mean(3))


class Skewed(Averages):
    """Looks at the frame after the one that it should."""

    def forward(self, audio: Tensor) -> Tensor:
        """``[B, 1, 64, 4T] -> [B, D, T]``."""
        return super().forward(torch.cat([audio[..., 4:], audio[..., -4:]], 3))


def failing() -> nn.Module:
    raise RuntimeError("out of luck")


def number() -> int:
    return 7


def unarmed() -> nn.Module:
    return nn.Linear(1, 1)


def half_armed() -> nn.Module:
    network = nn.Linear(1, 1)
    network.encode_video = network.encode_audio = network.forward
    return network


def picky(*, width: int = 4) -> nn.Module:
    if width < 1:
        raise ValueError("width must be positive")
    return half_armed()


not_callable = "a text"


def joint(factory: str, **more: object) -> BackboneSpec:
    return backbone_spec("bad", factory=factory, **more)


def audio(name: str = "averages", factory: str = "Averages", **more: object) -> BackboneSpec:
    """An audio encoder of this module."""
    fields = {"options": {"embedding": 8}, "small": {"embedding": 4}, **more}
    return backbone_spec(name, "audio", factory=f"{HERE}:{factory}", **fields)


@pytest.mark.parametrize(
    ("factory", "error", "words"),
    [
        (f"{HERE}:failing", PluginError, "bad cannot be built: RuntimeError: out of luck"),
        (f"{HERE}:absent", PluginError, "has no attribute 'absent'"),
        (f"{HERE}:not_callable", PluginError, "'str' object is not callable"),
        (f"{HERE}:number", PluginError, "gives int in place of a torch.nn.Module"),
        (f"{HERE}:unarmed", PluginError, "without encode_video, encode_audio, score"),
        (f"{HERE}:half_armed", PluginError, "without score"),
        ("no_such_module_at_all:build", MissingError, "no_such_module_at_all"),
    ],
)
def test_networks_that_cannot_be_built(
    factory: str, error: type[Exception], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with plugins.use(with_backbones(joint(factory), backbone_spec("other"))):
        with pytest.raises(error) as caught:
            build("bad")
        code = main(["plugins", "check", "bad"])
    assert words in caught.value.cause and "bad" in caught.value.cause
    assert caught.value.remedy
    assert code == EXIT_UNEXPECTED
    assert words in " ".join(capsys.readouterr().out.split())


def test_an_encoder_of_a_pair_that_is_no_module_is_named() -> None:
    seeing = backbone_spec("seeing", "video", factory=f"{HERE}:number")
    fine = backbone_spec("fine", "video", factory=f"{HERE}:unarmed")
    lacking = backbone_spec("lacking", "audio", factory="no_such_module_at_all:Network")
    with plugins.use(with_backbones(seeing, fine, audio(), lacking)):
        with pytest.raises(PluginError, match="seeing cannot be used"):
            build("seeing+averages")
        with pytest.raises(MissingError, match=r"lacking cannot be built.*no_such_module_at_all"):
            build("fine+lacking")


def test_options_that_the_factory_refuses() -> None:
    spec = joint(f"{HERE}:picky", options={"width": 4, "depth": 2})
    with plugins.use(with_backbones(spec)):
        with pytest.raises(UsageError, match="width must be positive") as caught:
            build("bad", width=0)
        assert "width (4)" in caught.value.remedy
        with pytest.raises(UsageError, match="depth"):
            build("bad", depth=1)
        with pytest.raises(UsageError, match="Did you mean width"):
            build("bad", widht=1)


# ------------------------------------------------------------------------------ synctool plugins check


def checked(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, list[dict]]:
    code = main(["plugins", "check", *words, "--json", "-"])
    return code, json.loads(capsys.readouterr().out)


def test_a_sound_network_passes(capsys: pytest.CaptureFixture[str]) -> None:
    with plugins.use(with_backbones(audio())):
        code, found = checked(capsys, "averages")
        assert code == EXIT_OK
        assert {f["check"] for f in found} >= {"options", "batches", "shift", "centre", "gradients"}
        assert all(f["passed"] and f["reason"] is None for f in found)
        assert main(["plugins", "check"]) == EXIT_OK, "all plugins that are not built in"
        lines = capsys.readouterr().out.splitlines()
        assert lines[0].split() == ["NETWORK", "CHECK", "RESULT", "REASON"]
        assert len(lines) == len(found) + 1


def test_a_failure_comes_with_its_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    skewed = audio("skewed", "Skewed", audio_receptive_field_frames=3)
    undeclared = audio("undeclared", options={}, small={})
    with plugins.use(with_backbones(audio(), skewed, undeclared)):
        code, found = checked(capsys, "fake-dist")
        one, _ = checked(capsys, "averages", " averages ", "averages.base")
    assert (code, one) == (EXIT_UNEXPECTED, EXIT_OK)
    failed = {(f["backbone"], f["check"]): f["reason"] for f in found if not f["passed"]}
    assert set(failed) == {("skewed", "centre"), ("undeclared", "options")}
    assert "row 3 looks from 4.000 to 5.000" in failed["skewed", "centre"]
    assert "the factory takes {'embedding': 8}" in failed["undeclared", "options"]


def test_networks_are_checked_once_and_nothing_is_hidden() -> None:
    def first(spec: BackboneSpec) -> None:
        raise AssertionError

    def second(spec: BackboneSpec) -> None:
        sys.exit(3)

    def third(spec: BackboneSpec) -> None:
        raise AssertionError("two\n  lines")

    reasons = [o.reason for o in run_checks([audio()], (first, second, third))]
    assert reasons == ["AssertionError", "SystemExit: 3", "two lines"]


def test_what_cannot_be_checked(capsys: pytest.CaptureFixture[str]) -> None:
    mixed = with_backbones(audio())
    mixed.register(FakePlugin(synctool_backbones=lambda: 1 / 0), name="broken")
    mixed.register(FakePlugin(synctool_losses=[]), name="lossy")
    mixed.register(FakePlugin(synctool_backbones=[]), name="empty")
    with plugins.use(mixed):
        assert main(["plugins", "check", "broken"]) == EXIT_UNEXPECTED
        assert "plugin 'broken' is broken: synctool_backbones failed" in capsys.readouterr().err
        assert main(["plugins", "check", "lossy"]) == EXIT_USAGE
        assert "plugin 'lossy' gives no networks" in capsys.readouterr().err
        assert main(["plugins", "check", "averagse"]) == EXIT_USAGE
        assert "averages" in capsys.readouterr().err
        code, found = checked(capsys)
        assert code == EXIT_UNEXPECTED, "a broken plugin keeps no contract"
        assert "division by zero" in found[-1]["reason"]
    with plugins.use(Plugins()):
        assert main(["plugins", "check"]) == EXIT_OK
        assert "No plugin with a network" in capsys.readouterr().out


def test_the_list_says_what_each_gives(capsys: pytest.CaptureFixture[str]) -> None:
    many = [detector_spec(f"face-{i}") for i in range(8)]
    tags = [audio("two", tag="a"), audio("two", tag="b", default=False)]
    given = Plugins()
    given.register(
        FakePlugin(
            synctool_backbones=tags,
            synctool_face_detectors=many,
            synctool_losses=[],
            synctool_commands=lambda app: None,
        ),
        name="giving",
    )
    with plugins.use(given):
        assert main(["plugins", "list"]) == EXIT_OK
        (line,) = [x for x in capsys.readouterr().out.splitlines() if x.startswith("giving")]
        main(["plugins", "list", "--json", "-"])
        (record,) = json.loads(capsys.readouterr().out)
    assert "backbones: two, two.b;" in line
    assert "face detectors: face-0, face-1, face-2, face-3, face-4, 3 more" in line
    assert "losses: none" in line
    assert "commands;" in line
    assert record["gives"]["synctool_backbones"] == ["two", "two.b"]
    assert len(record["gives"]["synctool_face_detectors"]) == 8


# --------------------------------------------------------------------------- as distributions


BACKBONE = """
from synctool import hookimpl
from synctool.types import AudioInput, BackboneSpec

@hookimpl
def synctool_backbones():
    return [BackboneSpec(name="{name}", tag="one", role="audio", factory="{factory}", default=True,
                         summary="made up", audio=AudioInput("logmel64"), embedding_size=8)]
"""


def test_a_name_of_synctool_itself_is_taken(tmp_path: Path) -> None:
    write_distribution(tmp_path, "sync-thief", code=BACKBONE.format(name="syncnet", factory="m:f"))
    done = run_synctool("backbones", path=tmp_path, cwd=tmp_path)
    assert done.returncode == EXIT_UNEXPECTED
    assert "'syncnet'" in done.stderr and "sync-thief" in done.stderr and "synctool" in done.stderr
    assert "SYNCTOOL_PLUGINS" in done.stderr
    free = run_synctool("backbones", path=tmp_path, cwd=tmp_path, env={"SYNCTOOL_PLUGINS": ""})
    assert free.returncode == EXIT_OK
