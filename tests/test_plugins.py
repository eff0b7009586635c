"""A plugin that is broken in any way is told of, and harms nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fake_plugins import (
    FakePlugin,
    backbone_spec,
    detector_spec,
    run_synctool,
    with_backbones,
    write_distribution,
)
from synctool.errors import PluginError
from synctool.plugins import hookspecs, registry
from synctool.plugins import loader as plugins
from synctool.plugins.loader import HOOKS, Plugins

pytestmark = pytest.mark.integration

BACKBONE_CODE = """
from synctool import hookimpl
from synctool.types import AudioInput, BackboneSpec

@hookimpl
def synctool_backbones():
    return [BackboneSpec(name="{name}", tag="one", role="audio", factory="m:f", summary="made up",
                         embedding_size=8, audio=AudioInput("logmel64"), default=True)]
"""
COMMAND_CODE = """
from synctool import hookimpl

@hookimpl
def synctool_commands(app):
    @app.command("{name}")
    def command({parameters}) -> None:
        print("{name} was here")
"""


def fail(*_: object) -> list[object]:
    raise RuntimeError("out of luck")


def stop() -> list[object]:
    raise SystemExit(3)


def test_the_hooks() -> None:
    assert set(HOOKS) == {
        "synctool_backbones",
        "synctool_face_detectors",
        "synctool_heads",
        "synctool_losses",
        "synctool_datasets",
        "synctool_exporters",
        "synctool_catalogue",
        "synctool_commands",
    }


def test_the_built_in_plugins_use_the_same_door() -> None:
    found = {r.name: r for r in plugins.get_plugins().probe() if r.builtin}
    names = ("backbones", "catalogue", "datasets", "detectors", "exporters", "losses")
    assert set(found) == {f"builtin-{name}" for name in names}
    for record in found.values():
        assert (record.status, record.reason) == ("ok", None)
        assert record.distribution == "synctool"
    assert "synctool_backbones" in found["builtin-backbones"].hooks
    assert "synctool_face_detectors" in found["builtin-detectors"].hooks


def test_a_plugin_gives_what_it_says() -> None:
    spec = backbone_spec("mine")
    found = with_backbones(spec).collect("synctool_backbones")
    assert [p.spec for p in found] == [spec]
    assert found[0].record.distribution == "fake-dist"


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (fail, "RuntimeError: out of luck"),
        (stop, "SystemExit: 3"),
        (None, "NoneType in place of a list"),
        ((backbone_spec("x"),), "tuple in place of a list"),
        ({"x": 1}, "dict in place of a list"),
        (["fcn-cls"], "str in place of BackboneSpec"),
        ([backbone_spec("x"), None], "NoneType in place of BackboneSpec"),
        ([detector_spec("x")], "FaceDetectorSpec in place of BackboneSpec"),
        ([backbone_spec("Has Blanks")], "'Has Blanks'"),
        ([backbone_spec("a+b")], "'a+b'"),
        ([backbone_spec("x", tag="a.b")], "'a.b'"),
        ([backbone_spec("x", role="smell")], "'smell'"),
        ([backbone_spec("x", role="video", audio=backbone_spec("y").audio)], "inputs"),
        ([backbone_spec("x", role="joint", audio=None)], "inputs"),
        ([backbone_spec("x", factory="no colon")], "'no colon'"),
        ([backbone_spec("x"), backbone_spec("x")], "'x.base' twice"),
        ([backbone_spec("x", embedding_size=0)], "embedding size 0"),
        ([backbone_spec("x", receptive_field_frames=4)], "receptive_field_frames 4"),
        ([backbone_spec("x", options=["width"])], "options"),
        ([backbone_spec("x", small={"width": 1})], "small names 'width'"),
    ],
)
def test_rubbish_breaks_that_plugin_only(given: object, reason: str) -> None:
    both = with_backbones(backbone_spec("good"))
    both.register(
        FakePlugin(synctool_backbones=given, synctool_face_detectors=[detector_spec("d")]),
        name="bad",
    )
    assert [p.spec.name for p in both.collect("synctool_backbones")] == ["good"]
    status = {r.name: r.status for r in both.records()}
    assert status == {"fake": "ok", "bad": "broken"}
    (bad,) = [r for r in both.records() if r.name == "bad"]
    assert bad.reason.startswith("synctool_backbones ")
    assert reason in bad.reason
    assert both.collect("synctool_face_detectors") == [], "a broken plugin is not asked again"


def test_strict_raises_and_names_plugin_and_reason() -> None:
    strict = Plugins(strict=True)
    strict.register(FakePlugin(synctool_backbones=fail), name="bad", distribution="bad-dist")
    with pytest.raises(PluginError, match=r"'bad' of bad-dist.*RuntimeError: out of luck"):
        strict.collect("synctool_backbones")
    with pytest.raises(PluginError, match="no hook"):
        strict.register(FakePlugin(), name="empty")


@pytest.mark.parametrize(
    ("plugin", "reason"),
    [
        (FakePlugin(), "implements no hook"),
        (FakePlugin(synctool_backbons=[]), "did you mean synctool_backbones"),
        (FakePlugin(synctool_backbones=lambda no_such_argument: []), "no_such_argument"),
        ([1], "unhashable"),
    ],
)
def test_what_is_no_plugin_is_broken(plugin: object, reason: str) -> None:
    plugin_set = with_backbones(backbone_spec("good"))
    record = plugin_set.register(plugin, name="bad")
    assert record.status == "broken"
    assert reason in record.reason
    assert [p.spec.name for p in plugin_set.collect("synctool_backbones")] == ["good"]


def test_undecorated_functions_are_no_plugin() -> None:
    class Bare:
        def synctool_backbones(self) -> list[object]:
            return []

    assert Plugins().register(Bare(), name="bare").status == "broken"


def test_register_and_unregister_by_hand() -> None:
    plugin_set = Plugins()
    plugin = FakePlugin(synctool_backbones=[backbone_spec("x")])
    record = plugin_set.register(plugin, name="p")
    with pytest.raises(PluginError, match="there already"):
        plugin_set.register(plugin, name="p")
    second = plugin_set.register(plugin, name="again")
    assert second.status == "broken", "one object cannot be two plugins"
    plugin_set.unregister(second)
    assert [p.spec.name for p in plugin_set.collect("synctool_backbones")] == ["x"]
    plugin_set.unregister(record)
    assert plugin_set.records() == []
    assert plugin_set.collect("synctool_backbones") == []


def test_use_puts_the_old_set_back() -> None:
    before = plugins.get_plugins()
    with plugins.use() as inside:
        assert plugins.get_plugins() is inside
        assert registry.backbones.all() == []
    assert plugins.get_plugins() is before


def test_hookspecs_hold_signatures_only() -> None:
    with pytest.raises(NotImplementedError):
        hookspecs.synctool_backbones()


# ------------------------------------------------------------- real distributions, own processes


@pytest.fixture
def site(tmp_path: Path) -> Path:
    folder = tmp_path / "site"
    command = COMMAND_CODE.format(name="good-cmd", parameters="")
    write_distribution(folder, "sync-good", code=BACKBONE_CODE.format(name="good") + command)
    write_distribution(folder, "sync-bad", code="import a_module_that_is_not_there")
    write_distribution(folder, "sync-exit", code="import sys; sys.exit(7)")
    return folder


def listed(site: Path, **env: str) -> dict[str, dict[str, object]]:
    done = run_synctool("plugins", "list", "--json", "-", path=site, env=env, cwd=site)
    assert done.returncode == 0, done.stderr
    return {record["name"]: record for record in json.loads(done.stdout)}


def test_broken_distributions_are_listed_with_their_reasons(site: Path) -> None:
    found = listed(site)
    assert found["sync-good"]["status"] == "ok"
    assert found["sync-good"]["distribution"] == "sync-good"
    assert found["sync-good"]["version"] == "1.2"
    assert found["sync-good"]["module"] == "sync_good"
    assert set(found["sync-good"]["hooks"]) == {"synctool_backbones", "synctool_commands"}
    assert found["sync-bad"]["status"] == "broken"
    assert "a_module_that_is_not_there" in found["sync-bad"]["reason"]
    assert found["sync-exit"]["status"] == "broken"
    assert found["builtin-detectors"]["status"] == "ok"


def test_good_plugins_work_beside_broken_ones(site: Path) -> None:
    done = run_synctool("backbones", "--json", "-", path=site, cwd=site)
    assert "good" in [b["name"] for b in json.loads(done.stdout)]
    assert "sync-bad" in done.stderr, "one line of warning"
    assert "Traceback" not in done.stderr
    done = run_synctool("good-cmd", path=site, cwd=site)
    assert (done.returncode, done.stdout.strip()) == (0, "good-cmd was here")


def test_the_plain_table_has_names_and_reasons(site: Path) -> None:
    lines = run_synctool("plugins", "list", path=site, cwd=site).stdout.splitlines()
    (line,) = [line for line in lines if line.startswith("sync-bad")]
    assert "broken" in line
    assert "a_module_that_is_not_there" in line


def test_debug_shows_where_a_plugin_failed(site: Path) -> None:
    done = run_synctool("plugins", "list", "--debug", path=site, cwd=site)
    assert "Traceback" in done.stderr
    assert "sync_bad.py" in done.stderr


@pytest.mark.parametrize("names", ["sync-good", " sync-good , "])
def test_environment_limits_what_is_loaded(site: Path, names: str) -> None:
    found = listed(site, SYNCTOOL_PLUGINS=names)
    assert found["sync-good"]["status"] == "ok"
    assert found["sync-bad"]["status"] == "disabled"
    assert found["sync-exit"]["status"] == "disabled"
    assert found["builtin-detectors"]["status"] == "ok", "built-in plugins always load"


def test_an_empty_limit_loads_the_built_in_ones_only(site: Path) -> None:
    found = listed(site, SYNCTOOL_PLUGINS="")
    assert {r["name"] for r in found.values() if r["status"] == "ok" and not r["builtin"]} == set()
    assert found["sync-good"]["status"] == "disabled"


def test_a_limit_that_names_nothing_installed_is_told(site: Path) -> None:
    found = listed(site, SYNCTOOL_PLUGINS="sync-god")
    assert found["sync-god"]["status"] == "broken"
    assert "not installed" in found["sync-god"]["reason"]


def test_strict_by_environment(site: Path) -> None:
    strict = {"SYNCTOOL_STRICT": "1"}
    done = run_synctool("plugins", "list", path=site, cwd=site, env=strict)
    assert done.returncode == 1
    assert "error: plugin 'sync-" in done.stderr
    assert "Traceback" not in done.stderr
    limited = {**strict, "SYNCTOOL_PLUGINS": "sync-good"}
    assert run_synctool("plugins", "list", path=site, cwd=site, env=limited).returncode == 0


def test_two_distributions_with_one_plugin_name(tmp_path: Path) -> None:
    for name in ("sync-one", "sync-two"):
        code = BACKBONE_CODE.format(name=name.removeprefix("sync-"))
        write_distribution(tmp_path, name, code=code, entry="same")
    done = run_synctool("plugins", "list", "--json", "-", path=tmp_path, cwd=tmp_path)
    same = [r for r in json.loads(done.stdout) if r["name"] == "same"]
    assert [r["status"] for r in same] == ["broken", "broken"]
    for record in same:
        assert "sync-one" in record["reason"]
        assert "sync-two" in record["reason"]


def test_two_distributions_with_one_backbone_name(tmp_path: Path) -> None:
    for name in ("sync-one", "sync-two"):
        write_distribution(tmp_path, name, code=BACKBONE_CODE.format(name="same"))
    done = run_synctool("backbones", path=tmp_path, cwd=tmp_path)
    assert done.returncode == 1
    assert "'same'" in done.stderr
    assert "sync-one" in done.stderr
    assert "sync-two" in done.stderr


@pytest.mark.parametrize(
    ("command", "parameters", "reason"),
    [
        ("plugins", "", "'plugins', which is taken"),
        ("good-cmd", "", "'good-cmd', which is taken"),
        ("fine", "x: int | str", "Union"),
    ],
)
def test_commands_that_cannot_be_added(
    site: Path, command: str, parameters: str, reason: str
) -> None:
    code = COMMAND_CODE.format(name=command, parameters=parameters)
    write_distribution(site, "sync-late", code=code)
    found = listed(site)
    assert found["sync-late"]["status"] == "broken"
    assert reason in found["sync-late"]["reason"]
    assert found["sync-good"]["status"] == "ok"
    assert run_synctool("good-cmd", path=site, cwd=site).stdout.strip() == "good-cmd was here"
