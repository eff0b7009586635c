"""Who may import whom, and that the way to the first help text stays light."""

from __future__ import annotations

import ast
import graphlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import synctool
from fake_plugins import run_python

PACKAGE = Path(synctool.__file__).parent

ORDER = (
    # What everything stands on.
    *("plain_data", "types", "names", "cores", "_version"),
    *(
        "errors",
        "extras",
        "temporaries",
        "files",
        "tensor_files",
        "disk_space",
        "onnxruntime_import",
        "untrusted",
    ),
    *("background", "webhooks"),
    *("settings", "cache", "journal", "worker_process", "workers", "job_pool"),
    # What plugins register with, and what networks are made of.
    *(
        "plugins",
        "media",
        "synthetic",
        "features",
        "faces",
        "scoring",
        "weights",
        "models",
        "backbones",
    ),
    *("plugins", "media", "features", "faces", "scoring", "authenticity"),
    *("weights", "models", "backbones"),
    # What measures, prepares, trains, compares and exports.
    *("runtimes", "networks", "data", "measure", "live", "repairing", "prepare"),
    *("runtimes", "networks", "data", "measure", "explaining", "repairing", "prepare"),
    *("comparison.degradations", "evaluation", "training", "adapting", "comparison"),
    *("bench", "exporting", "downloads"),
    "doctor",
    # What people see.
    *("report", "serving", "testing", "contract", "cli"),
)
"""The parts of the package: each may import those before it. A new part needs a place here."""

HEAVY = {
    *{"torch", "cv2", "transformers", "numpy", "scipy", "matplotlib", "pandas", "av"},
    *{"onnx", "onnxruntime", "scenedetect", "safetensors", "python_speech_features"},
    *{"httpx", "tenacity", "filelock", "huggingface_hub", "tqdm"},
    *{"fastapi", "uvicorn", "anyio", "python_multipart", "sqlite3"},
    *{"lightning_fabric", "tensorboardX", "tomli_w", "wandb"},
    *{"torchvision", "pytorchvideo", "torchvggish", "jinja2", "sklearn"},
    *{
        "captum",
        "onnxscript",
        "openvino",
        "coremltools",
        "litert_torch",
        "ai_edge_litert",
        "tensorrt",
    },
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
    if len(words) == 1 and name in synctool._PUBLIC:
        words = synctool._PUBLIC[name].split(".")
    elif name:
        words.append(name)
    if words[1:] == ["__version__"]:
        return "_version"
    return next(
        (part for part in (".".join(words[1:3]), ".".join(words[1:2])) if part in ORDER),
        words[1],
    )


def wrong_directions(package: Path) -> list[str]:
    """Every import that goes up in the order."""
    wrong = []
    for path in sorted(package.rglob("*.py")):
        place = path.relative_to(package)
        module = ".".join(["synctool", *place.with_suffix("").parts])
        if place.parts[0] in {"__init__.py", "__main__.py"}:
            continue
        part = part_of(module, "")
        if part not in ORDER:
            wrong.append(f"{place}: the part {part!r} has no place in ORDER")
            continue
        for imported, name in imports(path, package):
            target = part_of(imported, name)
            if target is None or target == part:
                continue
            if target not in ORDER or ORDER.index(target) > ORDER.index(part):
                wrong.append(f"{place} imports {imported} {name}".rstrip())
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
        ("faces/a.py", "from synctool.networks import load"),
        ("media/a.py", "def f():\n    import synctool.measure.detect"),
        ("media/a.py", "from ..measure import detect"),
        ("media/a.py", "from synctool import detect"),
        ("backbones/a.py", "from synctool.training import loop"),
        ("measure/a.py", "from synctool.cli.common import print_json"),
        ("comparison/degradations/a.py", "from synctool.comparison import run"),
        ("evaluation/a.py", "from synctool.comparison.run import compare"),
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
        ("faces/builtin.py", "from synctool.plugins.hookspecs import hookimpl"),
        ("backbones/__init__.py", "from synctool import hookimpl"),
        ("backbones/a.py", "from . import b"),
        ("comparison/a.py", "from synctool.comparison import degradations"),
        ("evaluation/a.py", "from synctool.comparison.degradations import table"),
        ("cli/a.py", "import synctool.report.text\nimport torch"),
    ],
)
def test_a_right_direction_is_let_through(tmp_path: Path, place: str, line: str) -> None:
    file = tmp_path / place
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(line)
    assert wrong_directions(tmp_path) == []


def circle(package: Path) -> list[str]:
    """Modules that import each other in a circle, inside functions too; [] where there is none."""
    files = {
        ".".join(["synctool", *path.relative_to(package).with_suffix("").parts]).removesuffix(
            ".__init__"
        ): path
        for path in package.rglob("*.py")
    }
    wanted = {
        here: {
            target
            for module, name in imports(path, package)
            for target in (f"{module}.{name}", module)
            if target in files and target not in {here, "synctool"}
        }
        for here, path in files.items()
    }
    try:
        graphlib.TopologicalSorter(wanted).prepare()
    except graphlib.CycleError as error:
        return error.args[1]
    return []


def test_no_module_imports_itself_by_way_of_others() -> None:
    assert circle(PACKAGE) == []


def test_a_circle_is_seen(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("from synctool import b")
    (tmp_path / "b.py").write_text("def f():\n    from synctool.a import g")
    assert set(circle(tmp_path)) == {"synctool.a", "synctool.b"}


@pytest.mark.parametrize("name", ["plain_data.py", "types.py", "errors.py"])
def test_the_ground_floor_needs_the_standard_library_only(name: str) -> None:
    found = {module.split(".")[0] for module, _ in imports(PACKAGE / name, PACKAGE)}
    assert found
    assert found <= {"synctool", *sys.stdlib_module_names}


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
    [
        "synctool",
        "synctool.settings.sources",
        "synctool.plugins.loader",
        "synctool.plugins.registry",
        "synctool.cli.app",
    ],
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
        "names = [*app.COMMANDS, *app.GROUPS]\n"
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
