"""Who may import whom, and that the way to the first help text stays light."""

from __future__ import annotations

import ast
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import synctool
from fake_plugins import run_python

PACKAGE = Path(synctool.__file__).parent

BASE = {"config", "cores", "errors", "extras", "types", "files", "names", "untrusted", "_version"}
ROOMS = {
    *{"media", "faces", "features", "models", "scoring"},
    *{"data", "training", "evaluation", "weights", "downloads"},
    *{"exporters", "runtimes"},
}
ALLOWED: dict[str, set[str]] = {
    "types": set(),
    "errors": set(),
    "_version": set(),
    "cores": set(),
    "extras": {"errors"},
    "names": set(),
    "files": {"errors", "types"},
    "untrusted": {"errors", "types"},
    "config": {"errors", "types", "untrusted"},
    "hookspecs": {"types"},
    "spec_checks": {"types"},
    "plugins": {"hookspecs", "spec_checks", "errors", "types"},
    "registry": {"plugins", "errors", "types"},
    **dict.fromkeys(ROOMS, ROOMS | BASE),
    "backbones": {"models", "features", "weights", "types", "errors", "hookspecs"},
    "engine": ROOMS | BASE | {"registry"},
    "report": ROOMS | BASE,
    "contract": ROOMS | BASE | {"engine", "registry"},
    "cli": {"engine", "report", "registry", "plugins", "contract"} | BASE,
}
"""For each part of the package the other parts that it may import. A new part needs a line here."""

BUILT_IN_PLUGINS = {
    *{"data/builtin.py", "faces/builtin.py", "downloads/builtin.py", "training/builtin.py"},
    "exporters/builtin.py",
}
"""Modules of rooms that implement hooks, and so take the marker from ``hookspecs``."""

HEAVY = {
    *{"torch", "cv2", "transformers", "numpy", "scipy", "matplotlib", "av"},
    *{"onnx", "onnxruntime", "scenedetect", "safetensors", "python_speech_features"},
    *{"httpx", "tenacity", "filelock", "huggingface_hub", "tqdm"},
    *{"lightning_fabric", "tensorboardX", "tomli_w"},
    *{"torchvision", "pytorchvideo", "torchvggish", "jinja2", "sklearn"},
    *{"onnxscript", "openvino", "coremltools", "litert_torch", "ai_edge_litert", "tensorrt"},
}


def imports(path: Path, package: Path) -> Iterator[tuple[str, str]]:
    """All imports of a file, inside functions too, as (full module name, imported name or '')."""
    here = ("synctool", *path.relative_to(package).parent.parts)
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, ""
        elif isinstance(node, ast.ImportFrom):
            base = here[: len(here) - node.level + 1] if node.level else ()
            module = ".".join([*base, *filter(None, [node.module])])
            for alias in node.names:
                yield module, alias.name


def part_of(module: str, name: str) -> str | None:
    """The part of the package that an import reaches, None for other packages."""
    words = module.split(".")
    if words[0] != "synctool":
        return None
    if len(words) > 1:
        return words[1]
    if name in synctool._PUBLIC:
        return synctool._PUBLIC[name].split(".")[1]
    return "_version" if name == "__version__" else name


def wrong_directions(package: Path) -> list[str]:
    """Every import that goes where it must not."""
    wrong = []
    for path in sorted(package.rglob("*.py")):
        place = path.relative_to(package)
        part = place.parts[0].removesuffix(".py")
        if part in {"__init__", "__main__"}:
            continue
        if part not in ALLOWED:
            wrong.append(f"{place}: the part {part!r} has no line in ALLOWED")
            continue
        for module, name in imports(path, package):
            target = part_of(module, name)
            marker = target == "hookspecs" and name == "hookimpl"
            if target is None or target == part:
                continue
            if target in ALLOWED[part] and (marker or part != "backbones" or target != "hookspecs"):
                continue
            if not (marker and place.as_posix() in BUILT_IN_PLUGINS):
                wrong.append(f"{place} imports {module} {name}".rstrip())
    return wrong


def test_imports_go_down_only() -> None:
    assert wrong_directions(PACKAGE) == []


def test_onnxruntime_is_imported_in_one_place() -> None:
    """Where its telemetry is switched off first."""
    places = {
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        for module, _ in imports(path, PACKAGE)
        if module.split(".")[0] == "onnxruntime"
    }
    assert places == set()


@pytest.mark.parametrize(
    ("place", "line"),
    [
        ("faces/a.py", "from synctool.cli import app"),
        ("faces/a.py", "from synctool import registry"),
        ("faces/a.py", "from synctool.hookspecs import hookimpl"),
        ("faces/builtin.py", "from synctool.hookspecs import hookspec"),
        ("media/a.py", "def f():\n    import synctool.engine.detect"),
        ("media/a.py", "from ..engine import detect"),
        ("media/a.py", "from synctool import detect"),
        ("backbones/a.py", "from synctool.scoring import offsets"),
        ("backbones/a.py", "from synctool.hookspecs import hookspec"),
        ("backbones/a.py", "from synctool.training import loop"),
        ("engine/a.py", "from synctool.cli.common import print_json"),
        ("engine/a.py", "from synctool.plugins import get_plugins"),
        ("engine/a.py", "import synctool.backbones.fcn"),
        ("cli/a.py", "from synctool.media.film import Film"),
        ("types.py", "from synctool.errors import UsageError"),
        ("cellar/a.py", "pass"),
    ],
)
def test_a_wrong_direction_is_seen(tmp_path: Path, place: str, line: str) -> None:
    file = tmp_path / place
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(line)
    assert len(wrong_directions(tmp_path)) == 1


@pytest.mark.parametrize(
    ("place", "line"),
    [
        ("faces/builtin.py", "from synctool.hookspecs import hookimpl"),
        ("backbones/__init__.py", "from synctool import hookimpl"),
        ("backbones/a.py", "from . import b"),
        ("engine/a.py", "from synctool import registry"),
        ("cli/a.py", "import synctool.report.text\nimport torch"),
    ],
)
def test_a_right_direction_is_let_through(tmp_path: Path, place: str, line: str) -> None:
    file = tmp_path / place
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(line)
    assert wrong_directions(tmp_path) == []


@pytest.mark.parametrize("name", ["types.py", "errors.py"])
def test_the_ground_floor_needs_the_standard_library_only(name: str) -> None:
    found = {module.split(".")[0] for module, _ in imports(PACKAGE / name, PACKAGE)}
    assert found
    assert found <= set(sys.stdlib_module_names)


def test_click_is_never_imported() -> None:
    files = sorted(PACKAGE.rglob("*.py"))
    assert len(files) > 10
    for path in files:
        assert "click" not in {module.split(".")[0] for module, _ in imports(path, PACKAGE)}, path


LOADED = """
import json, sys
{before}
loaded = [m for m in {heavy!r} if m in sys.modules]
print("\\n" + json.dumps(loaded))
"""


def heavy_after(before: str) -> list[str]:
    """The heavy packages that a piece of code loads."""
    done = run_python(LOADED.format(before=before, heavy=sorted(HEAVY)))
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_loading_something_heavy_would_be_seen() -> None:
    assert "numpy" in heavy_after("import numpy")


@pytest.mark.parametrize(
    "module",
    ["synctool", "synctool.config", "synctool.plugins", "synctool.registry", "synctool.cli.app"],
)
def test_importing_is_light(module: str) -> None:
    assert heavy_after(f"import {module}") == []


def test_the_public_names_exist() -> None:
    for name in synctool.__all__:
        assert getattr(synctool, name) is not None, name
        assert name in dir(synctool)
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = synctool.no_such_name


def test_help_is_light() -> None:
    done = "from synctool.cli.app import main\nassert main(['--help']) == 0"
    assert heavy_after(done) == []


def test_help_of_every_command_is_light() -> None:
    code = (
        "from synctool.cli import app\n"
        "names = [c.__name__.replace('_', '-') for c in app.COMMANDS] + list(app.GROUPS)\n"
        "assert names\n"
        "assert all(app.main([name, '--help']) == 0 for name in names)"
    )
    assert heavy_after(code) == []


def test_help_answers_within_half_a_second(record_property) -> None:
    """Seconds of the processor: what else the machine does at the time is not the program's."""
    resource = pytest.importorskip("resource")
    code = "import sys; from synctool.cli.app import main; sys.exit(main(['--help']))"
    taken_s = []
    for _ in range(6):  # the first may compile, others find the machine slow
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert run_python(code).returncode == 0
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        taken_s.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    record_property("help_s", min(taken_s))
    assert min(taken_s) < 0.5
