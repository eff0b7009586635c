"""The doctor: what it finds in a sound installation, and what it says of one that is broken."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fake_plugins import FakePlugin
from synctool.cli.app import main
from synctool.doctor import codecs, examine, machine, packages, self_test, weights_here
from synctool.doctor.findings import Diagnosis, Finding, guarded
from synctool.doctor.missing_libraries import remedy_of
from synctool.doctor.surroundings import folders, plugins, settings
from synctool.errors import MissingError
from synctool.plugins.loader import Plugins, use
from synctool.report.doctor import conclusion

SICK = Diagnosis(
    (
        Finding("Versions", "av", "problem", "not installed", "pip install av"),
        Finding("Extras", "train", "note", "not installed", "pip install 'synctool[train]'"),
    )
)


@pytest.fixture(scope="module")
def found() -> dict[str, Finding]:
    """The findings of this installation by name."""
    return {finding.name: finding for finding in examine.examine().findings}


def test_a_sound_installation_is_sound(found: dict[str, Finding]) -> None:
    assert [f for f in found.values() if f.status == "problem"] == []
    assert {f.section for f in found.values()} >= {section for section, _, _ in examine._LOOKS}
    assert (
        "CPUExecutionProvider" in found["onnxruntime"].value
        or found["onnxruntime"].value[0].isdigit()
    )
    assert found["video decoders"].value.startswith("h264, hevc, av1")
    assert found["fcn-cls"].value.endswith("checksums hold")
    assert "its scores are the stored ones within" in found["the model"].value


def test_the_stored_scores_are_of_the_weights_that_come_with_the_package(
    found: dict[str, Finding],
) -> None:
    (label,) = self_test.expected_scores()
    assert label in found["the model"].value, "run: python tools/self_test_scores.py"


@pytest.mark.parametrize(("diagnosis", "code"), [(Diagnosis(()), 0), (SICK, 1)])
def test_the_command_shows_writes_and_ends_with_its_code(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys, diagnosis: Diagnosis, code: int
) -> None:
    monkeypatch.setattr(examine, "examine", lambda: diagnosis)
    assert main(["doctor", "--json", str(tmp_path / "d.json")]) == code
    out = capsys.readouterr().out
    assert conclusion(diagnosis) in out
    for finding in diagnosis.findings:
        assert finding.name in out and f"-> {finding.remedy}" in out
    written = json.loads((tmp_path / "d.json").read_text("utf-8"))
    assert (written["schema"], written["healthy"]) == ("synctool.doctor/1", code == 0)
    assert len(written["findings"]) == len(diagnosis.findings)
    assert main(["doctor", "--json", "-"]) == code
    assert json.loads(capsys.readouterr().out) == written


@pytest.mark.parametrize(
    ("findings", "said"),
    [
        ([], "All is well."),
        (["warning", "ok", "note"], "No problem, 1 warning."),
        (["problem", "warning"], "1 problem: this installation cannot be relied on."),
    ],
)
def test_the_conclusion(findings: list[str], said: str) -> None:
    made = Diagnosis([Finding("x", "y", status, "z") for status in findings])  # type: ignore[arg-type]
    assert conclusion(made) == said


def test_a_look_that_fails_is_a_problem_and_costs_no_other() -> None:
    def look():
        yield Finding("Weights", "a", "ok", "here")
        raise MissingError("gone", remedy="Get it.")

    assert [(f.status, f.value, f.remedy) for f in guarded("Weights", look)] == [
        ("ok", "here", ""),
        ("problem", "gone", "Get it."),
    ]

    def bug():
        raise ZeroDivisionError("no")
        yield

    (finding,) = guarded("Weights", bug, remedy="Report it.")
    assert finding.status == "problem" and "no" in finding.value and finding.remedy == "Report it."


@pytest.mark.parametrize(
    ("error", "package", "said"),
    [
        (
            "ImportError: libGL.so.1: cannot open shared object file: No such file or directory",
            "opencv-python",
            "apt-get install libgl1 (Debian, Ubuntu) or dnf install mesa-libGL (Fedora, Red Hat). Or use "
            "the build without windows: pip uninstall opencv-python opencv-contrib-python && pip install "
            "opencv-python-headless",
        ),
        (
            "libgomp.so.1: cannot open shared object file: No such file or directory",
            "onnxruntime",
            "apt-get install libgomp1 (Debian, Ubuntu) or dnf install libgomp (Fedora, Red Hat).",
        ),
        (
            "libodd-2.so.7: cannot open shared object file: No such file or directory",
            "av",
            "Install the system package that has libodd-2.so.7.",
        ),
        ("OSError: sndfile library not found", "soundfile", "apt-get install libsndfile1"),
        ("/lib/libm.so.6: version `GLIBC_2.38' not found", "av", "The system is older than av"),
        ("DLL load failed while importing _core", "av", "Install the Visual C++ Redistributable"),
        ("numpy.core.multiarray failed to import", "scipy", "pip install --force-reinstall scipy"),
    ],
)
def test_what_a_package_lacks_is_named_with_its_remedy(error: str, package: str, said: str) -> None:
    assert remedy_of(error, package=package).startswith(said)


def test_packages_that_are_missing_old_broken_or_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    versions = {
        "av": "14.0",
        "opencv-python": "4.10",
        "opencv-python-headless": "4.10",
        "rich": "13",
    }
    monkeypatch.setattr(
        packages,
        "_base",
        lambda: ["av>=15,<19", "numpy", "opencv-python-headless>=4.9", "rich>=13"],
    )
    monkeypatch.setattr(packages, "_version", versions.get)
    said = "libGL.so.1: cannot open shared object file"
    monkeypatch.setattr(packages, "_import_error", lambda name: said if "opencv" in name else "")
    found = {f.name: f for f in packages.packages()}
    assert found["numpy"].status == "problem" and found["numpy"].remedy == "pip install 'numpy'"
    assert found["av"].status == "warning" and found["av"].remedy == "pip install 'av>=15,<19'"
    assert found["opencv-python"].status == "problem"
    assert found["opencv-python"].remedy.startswith("apt-get install libgl1")
    assert "overwrite each other" in found["opencv"].value
    assert found["rich"].status == "ok"


def test_extras_that_are_not_installed_are_no_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "missing_modules", lambda names: tuple(names)[:1])
    found = {f.name: f for f in packages.extras()}
    assert {f.status for f in found.values()} == {"note"}
    assert found["plot"].value == "not installed"
    assert found["train"].value == "lacks torch"
    assert found["train"].remedy == "pip install 'synctool[train]'"


@pytest.mark.parametrize(
    ("lacking", "status", "said"),
    [
        ({"prores"}, "warning", "missing: prores; here: h264"),
        ({"h264", "libdav1d", "libaom-av1"}, "problem", "missing: h264, av1; here: hevc"),
    ],
)
def test_decoders_that_are_missing(monkeypatch, lacking: set[str], status: str, said: str) -> None:
    monkeypatch.setattr(codecs, "_has", lambda name, mode: name not in lacking)
    video, audio, _ = codecs.codecs()
    assert (video.status, audio.status) == (status, "ok")
    assert video.value.startswith(said) and video.remedy.startswith(
        "pip install --force-reinstall av"
    )


def test_a_card_without_a_build_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_nvidia_cards", lambda: ["NVIDIA H200, 143771 MiB, 570.1"])
    monkeypatch.setattr(machine, "torch_build", lambda: ("2.9.0+cpu", ""))
    found = {f.name: f for f in machine.devices()}
    assert found["NVIDIA card 0"].value.startswith("NVIDIA H200")
    assert found["PyTorch"].status == "warning" and "CUDA build" in found["PyTorch"].remedy


def test_a_broken_plugin_is_named_with_its_reason() -> None:
    made = Plugins()
    made.register(FakePlugin(synctool_backbones=[1]), name="lips", distribution="lips-dist")
    with use(made):
        found = {f.name: f for f in plugins()}
    assert found["lips"].status == "warning" and found["lips"].value.startswith("lips-dist")
    assert found["lips"].remedy == "Fix it, or: pip uninstall lips-dist"


def test_wrong_settings_and_secrets(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SYNCTOOL_DETECT_MAX_OFFSET", "many")
    monkeypatch.setenv("SYNCTOOL_PASSWORD", "hunter2")
    found = {f.name: f for f in settings()}
    assert found["SYNCTOOL_PASSWORD"].value == "(set)"
    assert (
        found["check"].status == "problem" and "SYNCTOOL_DETECT_MAX_OFFSET" in found["check"].value
    )


def test_a_cache_that_cannot_be_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("os.access", lambda path, mode: False)
    cache, _ = folders()
    assert cache.status == "warning" and "SYNCTOOL_CACHE" in cache.remedy


def test_damaged_weights_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights_here, "digest", lambda path: "0" * 64)
    found = {f.name: f for f in weights_here.weights()}
    assert found["fcn-cls"].status == "problem"
    assert "missing or damaged" in found["fcn-cls"].value
    assert found["fcn-cls"].remedy.startswith("pip install --force-reinstall")


def test_a_model_that_computes_something_else(monkeypatch: pytest.MonkeyPatch) -> None:
    known = self_test.expected_scores()
    monkeypatch.setattr(
        self_test, "scores", lambda model: [x + 0.05 for x in next(iter(known.values()))]
    )
    monkeypatch.setattr(self_test, "_read_clip", lambda: "")
    monkeypatch.setattr(self_test, "_search_faces", lambda: "")
    *_, model = self_test.self_test()
    assert model.status == "problem" and "its scores are off by" in model.value


def test_times_that_are_read_wrongly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(self_test, "_FLASH_S", 0.5)
    write = self_test._write_clip

    def late(path: Path) -> None:
        monkeypatch.setattr(self_test, "_FLASH_S", 1)
        write(path)
        monkeypatch.setattr(self_test, "_FLASH_S", 0.5)

    monkeypatch.setattr(self_test, "_write_clip", late)
    finding = self_test._tried("reading a video", self_test._read_clip)
    assert finding.status == "problem" and "are read at 1000 and 1000 ms" in finding.value
