"""``synctool plugins new``: what it makes works as it is, and what it refuses it explains."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from fake_plugins import FakePlugin, backbone_spec, with_backbones
from synctool.cli.app import main
from synctool.errors import EXIT_OK, EXIT_UNEXPECTED, EXIT_USAGE, OutputError, UsageError
from synctool.networks.build import build
from synctool.plugins import loader as plugins
from synctool.plugins import registry
from synctool.plugins.scaffold import NewPlugin, new_plugin
from synctool.testing import CHECKS


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def plugged(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[NewPlugin], None]]:
    """Puts a new plugin in force, beside the built-in networks and without installing it."""
    import synctool.backbones as built_in

    mine = plugins.Plugins(strict=True)
    mine.register(built_in, name="built-in", distribution="synctool")

    def plug(made: NewPlugin) -> None:
        module = f"synctool_plugin_{made.name.replace('-', '_')}"
        monkeypatch.syspath_prepend(str(made.folder.absolute() / "src"))
        mine.register(importlib.import_module(module), name=made.name)

    before = set(sys.modules)
    with plugins.use(mine):
        yield plug
    for name in set(sys.modules) - before:
        if name.startswith("synctool_plugin_"):
            del sys.modules[name]


@pytest.mark.parametrize(("name", "role"), [("lips", "video"), ("3-hums", "audio")])
def test_what_it_makes_keeps_the_contract_and_learns(
    name: str, role: str, plugged: Callable[[NewPlugin], None]
) -> None:
    made = new_plugin(name, role=role)
    plugged(made)
    spec = registry.backbones.get(name)
    assert spec.role == role
    for check in CHECKS:
        check(spec)
    torch.manual_seed(1)
    _, pair = build(made.pair, **{f"{role}.embedding": 8, f"{role}.width": 4})
    encoder = (pair.video_encoder if role == "video" else pair.audio_encoder).encoder
    optimizer = torch.optim.Adam(encoder.parameters(), lr=0.01)
    losses = []
    for _ in range(40):
        wanted = torch.rand(4, 8)
        if role == "video":
            lines = torch.arange(32)[:, None].expand(32, 32)
            x = ((lines - 16).abs() < 2 + 10 * wanted[:, None, :, None, None]).float()
        else:
            x = torch.randn(4, 1, 64, 32) * wanted.repeat_interleave(4, 1)[:, None, None]
        loss = F.mse_loss(encoder(x)[:, 0], wanted)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert sum(losses[-5:]) < 0.3 * sum(losses[:5])


def test_the_files_are_those_of_a_distribution() -> None:
    made = new_plugin("two-words", role="audio", folder=Path("a/b"))
    assert made.folder == Path("a/b")
    assert {path.as_posix() for path in made.files} == {
        "pyproject.toml",
        "README.md",
        "src/synctool_plugin_two_words/__init__.py",
        "src/synctool_plugin_two_words/encoder.py",
        "tests/test_two_words.py",
    }
    for path in made.files:
        text = (made.folder / path).read_text("utf-8")
        assert ("$" not in text and "two" in text) or path.name == "encoder.py"
        if path.suffix == ".py":
            compile(text, str(path), "exec")
    assert 'name = "synctool-plugin-two-words"' in (made.folder / "pyproject.toml").read_text()
    assert os.listdir("a") == ["b"], "nothing is left beside it"


def test_the_command_says_what_comes_next(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plugins", "new", "lips", "--out", "my plugins/lips"]) == EXIT_OK
    said = capsys.readouterr().out.splitlines()
    assert [line.strip() for line in said[1:]] == [
        "pip install -e 'my plugins/lips[dev]'",
        "python -m pytest 'my plugins/lips'",
        "synctool train --backbone lips+fcn-mel --data processed/ --out runs/lips",
    ]
    assert Path("my plugins/lips/pyproject.toml").is_file()


@pytest.mark.parametrize(
    ("name", "suggested"),
    [
        ("My Lips", "my-lips"),
        ("lips_2", "lips-2"),
        ("synctool-plugin-lips", "lips"),
        ("-lips-", "lips"),
        ("a+b", "a-b"),
        ("../lips", "lips"),
        ("größe", "gr-e"),
        ("", None),
        ("...", None),
    ],
)
def test_names_that_are_none_get_a_suggestion(name: str, suggested: str | None) -> None:
    with pytest.raises(UsageError, match="cannot be the name") as caught:
        new_plugin(name)
    assert (f"for example {suggested}." in caught.value.remedy) == (suggested is not None)
    assert not os.listdir()


def test_taken_names_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match=r"'fcn-cls' is taken by a network.*my-fcn-cls"):
        new_plugin("fcn-cls")
    tags = [backbone_spec("many", tag=tag, default=False) for tag in ("a", "b")]
    with plugins.use(with_backbones(*tags)), pytest.raises(UsageError, match="taken"):
        new_plugin("many")
    twice = with_backbones(backbone_spec("x"))
    twice.register(FakePlugin(synctool_backbones=[backbone_spec("x")]), name="other")
    with plugins.use(twice), pytest.raises(UsageError, match="taken by two plugins"):
        new_plugin("x")
    info = Path("site/synctool_plugin_gone-1.dist-info")
    info.mkdir(parents=True)
    (info / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: synctool-plugin-gone\nVersion: 1\n"
    )
    monkeypatch.syspath_prepend(str(Path("site").absolute()))
    with pytest.raises(UsageError, match="taken by the distribution synctool-plugin-gone"):
        new_plugin("gone")
    assert os.listdir() == ["site"]


def test_an_unknown_role_is_refused() -> None:
    with pytest.raises(UsageError, match="Did you mean video"):
        new_plugin("lips", role="Videos")
    with pytest.raises(UsageError, match="It is video or audio"):
        new_plugin("lips", role="joint")
    assert main(["plugins", "new", "lips", "--role", "smell"]) == EXIT_USAGE


@pytest.mark.parametrize("kind", ["folder", "file", "dangling link"])
def test_what_is_there_stays(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    there = Path("synctool-plugin-lips")
    {
        "folder": lambda: there.mkdir(),
        "file": lambda: there.write_text("mine"),
        "dangling link": lambda: there.symlink_to("nowhere"),
    }[kind]()
    assert main(["plugins", "new", "lips"]) == EXIT_UNEXPECTED
    assert "is there already, and nothing was changed" in capsys.readouterr().err
    assert os.listdir() == ["synctool-plugin-lips"]
    assert kind != "folder" or not os.listdir(there)


def test_a_folder_that_cannot_be_written() -> None:
    Path("file").write_text("")
    with pytest.raises(OutputError, match="file is a file") as caught:
        new_plugin("lips", folder=Path("file/lips"))
    assert caught.value.remedy
    with pytest.raises(OutputError, match="cannot write"):
        new_plugin("lips", folder=Path("x" * 300))
    assert os.listdir() == ["file"]
    if os.name == "posix" and os.geteuid():
        Path("locked").mkdir(0o500)
        with pytest.raises(OutputError, match="permissions"):
            new_plugin("lips", folder=Path("locked/lips"))


def test_a_failure_in_the_middle_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    write = Path.write_text

    def full(path: Path, *given: object) -> int:
        if path.name == "encoder.py":
            raise OSError(28, "No space left on device")
        return write(path, *given)

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(OutputError, match="No space left") as caught:
        new_plugin("lips")
    assert "free some space" in caught.value.remedy
    assert not os.listdir()


def test_the_wheel_carries_the_templates() -> None:
    wheel = pytest.importorskip("hatchling.builders.wheel")
    root = Path(__file__).resolve().parent.parent
    carried = {
        file.distribution_path.replace(os.sep, "/")
        for file in wheel.WheelBuilder(str(root)).recurse_included_files()
    }
    templates = sorted((root / "src" / "synctool" / "plugins" / "templates").glob("*.template"))
    assert len(templates) == 6
    assert {f"synctool/plugins/templates/{path.name}" for path in templates} <= carried
