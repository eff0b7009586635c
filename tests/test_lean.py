"""The base installation measures without PyTorch, and says which extra brings what it lacks."""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from base_install import ROOT, base_distributions, block, hidden_modules, normal, owners, project
from fake_plugins import run_python
from fake_samples import talking_sample, write_processed
from synctool.cli.app import main
from synctool.errors import MissingError
from synctool.extras import EXTRAS, explained, is_installed, require
from synctool.plugins import registry
from synctool.weights.locate import located_export
from test_house import PACKAGE, imports
from videos import PlacedFace, face_video

pytestmark = pytest.mark.integration

RUN = """
import contextlib, io, json, sys
from synctool.cli.app import main
done = []
for words in json.loads(sys.argv[1]):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(words)
    done.append([code, out.getvalue(), err.getvalue()])
print(json.dumps(done))
"""
VENDORS = {
    "openvino",
    "coremltools",
    "litert_torch",
    "ai_edge_litert",
    "ai_edge_quantizer",
    "tensorrt",
}
"""Modules of export formats, whose specs name what brings them."""
ALONE = {"wandb"}
"""Extras that no other one brings: clients of a service."""


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of an interpreter that finds only what the base installation brings."""
    return block(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("films")
    return face_video(
        folder / "talk.mp4", [(76, lambda _: [PlacedFace(160, 120, 110)])], size=(320, 240)
    )


def run(base: dict[str, str], *commands: list[str], cwd: Path) -> list[tuple[int, str, str]]:
    done = run_python(RUN, json.dumps(commands), env=base, cwd=cwd)
    assert done.returncode == 0, done.stderr
    return [tuple(x) for x in json.loads(done.stdout.splitlines()[-1])]


def test_what_is_hidden_is_hidden(base: dict[str, str], tmp_path: Path) -> None:
    assert {"torch", "transformers", "matplotlib", "sklearn"} <= hidden_modules()
    for module in ("torch", "huggingface_hub"):
        assert is_installed(module)
        done = run_python(f"import {module}", env=base, cwd=tmp_path)
        assert f"ModuleNotFoundError: No module named '{module}'" in done.stderr


# ----------------------------------------------------------------------------- lists, help, words

LISTS = [
    *([command, "--help"] for command in ("detect", "compare", "preprocess", "pairs", "train")),
    *(
        [command, "--help"]
        for command in ("watch", "serve", "export", "backbones", "detectors", "download")
    ),
    *(["--help"], ["--version"], ["plugins", "--help"], ["plugins", "check", "--help"]),
    *(
        ["doctor"],
        ["config", "show"],
        ["config", "init", "--out", "-"],
        ["backbones"],
        ["backbones", "--json", "-"],
        ["detectors"],
        ["plugins", "list"],
    ),
    *(["download", "list"], ["download", "show", "hubert-base"], ["download", "verify"]),
    *(["export", "--list-formats"], ["compare", "--perturb", "list"], ["plugins", "new", "lips"]),
]


def test_lists_and_help_need_the_base_alone(base: dict[str, str], tmp_path: Path) -> None:
    env = {**base, "SYNCTOOL_CACHE": str(tmp_path / "cache")}
    for words, (code, out, err) in zip(LISTS, run(env, *LISTS, cwd=tmp_path)):
        assert code == 0 and out, (words, err)


def test_completion_needs_the_base_alone(base: dict[str, str], tmp_path: Path) -> None:
    code = "import sys; from synctool.cli.app import main; sys.exit(main())"
    words = {"COMP_WORDS": "synctool compare -b fcn-c", "COMP_CWORD": "3"}
    env = {**base, **words, "_SYNCTOOL_COMPLETE": "complete_bash"}
    assert "fcn-cls" in run_python(code, env=env, cwd=tmp_path).stdout.split()


def test_the_list_of_networks_says_what_they_need(base: dict[str, str], tmp_path: Path) -> None:
    (_, table, note), (_, data, _) = run(
        base, ["backbones"], ["backbones", "--json", "-"], cwd=tmp_path
    )
    needs = {row["name"]: row["needs"] for row in json.loads(data)}
    assert needs["fcn-cls"] is None
    assert {needs[name] for name in ("fcn-mouth", "fcn-attn", "syncnet", "hubert")} == {"train"}
    assert table.split()[4] == "NEEDS" and "pip install 'synctool[train]'" in note


# ---------------------------------------------------------------------- what an extra is needed for

REFUSED = [
    (["train", "--data", "data", "--out", "new"], "train"),
    (["train", "--print-config"], "train"),
    (["export", "--out", "new"], "export"),
    (["backbones", "--profile"], "train"),
    (["plugins", "check"], "train"),
    (["detect", "VIDEO", "-b", "fcn-attn", "--json", "new"], "train"),
    (["detect", "VIDEO", "--runtime", "torch", "--json", "new"], "train"),
    (["detect", "VIDEO", "-b", "resnet3d+vggish", "--json", "new"], "train"),
    (["detect", "VIDEO", "--plot", "new.png"], "plot"),
    (["compare", "VIDEO", "-b", "fcn-cls,fcn-attn", "--json", "new"], "train"),
    (["compare", "VIDEO", "--plot", "new.png"], "plot"),
    (["preprocess", "FOLDER", "new", "--sync-correct"], "train"),
    (["preprocess", "FOLDER", "new", "--engine", "ray"], "ray"),
    (["pairs", "data", "--out", "new.parquet"], "parquet"),
    (["download", "hubert-base"], "hub"),
    (["serve", "--port", "0"], "serve"),
]


def test_what_is_missing_is_said_before_any_work(
    base: dict[str, str], video: Path, tmp_path: Path
) -> None:
    write_processed(tmp_path / "data", [talking_sample("a", seed=1, frames=20)])
    before = sorted(tmp_path.rglob("*"))
    words = {"VIDEO": str(video), "FOLDER": str(video.parent)}
    commands = [[words.get(word, word) for word in command] for command, _ in REFUSED]
    env = {**base, "SYNCTOOL_CACHE": str(tmp_path / "cache")}
    for (command, extra), (code, out, err) in zip(REFUSED, run(env, *commands, cwd=tmp_path)):
        assert code == 5, (command, out, err)
        assert f"pip install 'synctool[{extra}]'" in err, command
        assert not out, command
    assert sorted(tmp_path.rglob("*")) == before


def test_python_names_the_extra_too(base: dict[str, str], tmp_path: Path) -> None:
    code = (
        "import synctool\nsynctool.detect; synctool.compare; synctool.load_model()\n"
        "try: synctool.export\nexcept synctool.SyncToolError as e: print(e.exit_code, e)"
    )
    done = run_python(code, env=base, cwd=tmp_path)
    assert done.stdout.startswith("5 synctool.export needs torch"), done.stderr
    assert "synctool[train]" in done.stdout


def test_a_package_that_a_network_lacks_is_named_with_its_extra() -> None:
    found = explained(ModuleNotFoundError("no", name="transformers.models"), "hubert")
    assert isinstance(found, MissingError)
    assert "transformers" in found.cause and "synctool[train]" in (found.remedy or "")
    other = ModuleNotFoundError("no", name="somebody_elses")
    assert explained(other, "x") is other
    same = ValueError("no")
    assert explained(same, "x") is same


def test_require_names_all_that_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(EXTRAS, "train", ("json", "no_such_one", "no_such.two"))
    require("train", "it", "json")
    with pytest.raises(MissingError, match=r"it needs no_such_one, no_such\.two, which are") as got:
        require("train", "it")
    assert got.value.exit_code == 5


# ------------------------------------------------------------------------------------ measuring


def test_videos_are_measured_and_prepared_with_the_base_alone(
    base: dict[str, str], video: Path, tmp_path: Path
) -> None:
    exported = located_export(registry.backbones.get("fcn-cls").weights)
    shutil.copytree(exported, tmp_path / "exported")
    name, both = str(video), "fcn-cls,fcn-cls=exported"
    conditions = ["--shift", "-3,3", "--pieces", "1", "--perturb", "noise:1,blur:1"]
    detect, compare, preprocess, pairs, clips = run(
        base,
        ["detect", name, "--json", "detect.json", "--html", "detect.html", "--csv", "detect.csv"],
        ["compare", name, "-b", both, *conditions, "--json", "compare.json", "--report", "c.html"],
        ["preprocess", str(video.parent), "processed", "--workers", "1"],
        ["pairs", "processed"],
        ["compare", "--dataset", "processed", "--part", "all", "-b", both, "--json", "clips.json"],
        cwd=tmp_path,
    )
    assert detect[0] in (0, 3), detect
    for code, out, err in (compare, preprocess, pairs, clips):
        assert code == 0, (out, err)
    for file in ("detect.json", "detect.html", "detect.csv", "c.html", "processed/split.json"):
        assert (tmp_path / file).stat().st_size
    for file, trials in (("compare.json", 2 * (1 + 2 + 3 + 2)), ("clips.json", 2)):
        rows = json.loads((tmp_path / file).read_text("utf-8"))["trials"]
        assert len(rows) == trials and not any(row["error"] for row in rows)


def test_workers_begin_without_pytorch_too(
    base: dict[str, str], video: Path, tmp_path: Path
) -> None:
    other = shutil.copy(video, tmp_path / "other.mp4")
    words = ["compare", str(video), str(other), "--jobs", "2", "-q", "--trials", "trials.jsonl"]
    ((code, _, err),) = run(base, words, cwd=tmp_path)
    assert code == 0, err
    rows = [json.loads(line) for line in (tmp_path / "trials.jsonl").read_text().splitlines()]
    assert [row["error"] for row in rows] == [None, None]


def test_the_base_alone_gives_the_same_figures(
    base: dict[str, str], clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = str(clips / "test_offset_5.avi")
    words = ["detect", name, "-q", "--runtime", "onnx", "--json"]
    assert run(base, [*words, "base.json"], cwd=tmp_path)[0][0] == 0
    monkeypatch.chdir(tmp_path)
    assert main([*words, "full.json"]) == 0, "here, with all that is installed"
    lean, full = (
        json.loads((tmp_path / f"{which}.json").read_text("utf-8")) for which in ("base", "full")
    )
    assert lean.pop("timing_s") and full.pop("timing_s")
    assert lean == full and round(lean["offset_frames"]) == -2


# ------------------------------------------------------------------------------- the two tables


def test_every_import_is_of_the_base_or_of_an_extra() -> None:
    known = base_distributions() | {"tomli"}
    extra = {module for modules in EXTRAS.values() for module in modules}
    strange = {
        f"{path.relative_to(PACKAGE)}: {module}"
        for path in PACKAGE.rglob("*.py")
        for module in {name.split(".")[0] for name, _ in imports(path, PACKAGE)}
        if module not in {"synctool", *sys.stdlib_module_names, *extra, *VENDORS}
        and not {normal(owner) for owner in owners().get(module, [module])} & known
    }
    assert not strange


@pytest.mark.parametrize("extra", EXTRAS)
def test_an_extra_brings_the_modules_that_it_is_said_to_bring(extra: str) -> None:
    listed = {normal(Requirement(x).name) for x in project()["optional-dependencies"][extra]}
    if extra in ALONE and not all(map(is_installed, EXTRAS[extra])):
        pytest.skip(f"[all] leaves {extra} out, and it is not installed")
    for module in EXTRAS[extra]:
        assert is_installed(module), "the tests need all extras"
        assert {normal(owner) for owner in owners()[module]} & listed
    assert not {normal(x) for x in EXTRAS[extra]} & base_distributions()


def test_all_brings_every_extra_that_has_modules() -> None:
    extras = project()["optional-dependencies"]
    (everything,) = (Requirement(x).extras for x in extras["all"])
    assert set(EXTRAS) - ALONE <= everything
    assert any("all" in Requirement(x).extras for x in extras["dev"])


def test_the_readme_names_every_extra() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    extras = {*project()["optional-dependencies"]} - {"dev"}
    assert not [extra for extra in extras if f"`{extra}`" not in text]


def test_the_face_detector_ships_with_its_licence() -> None:
    folder = PACKAGE / "faces" / "centerface_onnx"
    text = (folder / "README.md").read_text("utf-8")
    assert "Permission is hereby granted" in text and "Star-Clouds/CenterFace" in text
    assert hashlib.sha256((folder / "centerface.onnx").read_bytes()).hexdigest() in text
