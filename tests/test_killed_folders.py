"""Folders that are replaced: killed at every step, what stands at the name is the old one, the new one, or
nothing, and the next run ends as if nothing had been."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from synctool.adapting.adapted_model import check_output, write_exported
from synctool.data.storage import LocalStorage
from synctool.exporting.folder import check_folder, folder_beside, put
from synctool.scoring.confidence import Calibration
from synctool.weights.artefact import MANIFEST, read_artefact, write_manifest
from test_artefact import artefact, part


class Killed(BaseException):
    """What a process feels of SIGKILL: nothing after it is done, no clearing up either."""


def killed_at(step: int, monkeypatch: pytest.MonkeyPatch, work: Callable[[], None]) -> bool:
    """Do work until it has renamed or removed things so many times, and then nothing more.

    Returns:
        Whether the work was over before.
    """
    left = [step]

    def counted(name: str, real: Callable[..., object]) -> Callable[..., object]:
        def call(*args: object, **kwargs: object) -> object:
            if left[0] <= 0:
                raise Killed(name)
            left[0] -= 1
            return real(*args, **kwargs)

        return call

    with monkeypatch.context() as patch:
        for name in ("rename", "replace", "unlink", "rmdir", "mkdir"):
            patch.setattr(Path, name, counted(name, getattr(Path, name)))
        patch.setattr(shutil, "rmtree", counted("rmtree", shutil.rmtree))
        try:
            work()
        except Killed:
            return False
    return True


def exported(folder: Path, *names: str) -> None:
    """An exported model with graphs of these names."""
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / name).write_text(f"{name} of {names}")
    write_manifest(artefact({n: part(folder / n, {"x": ("B",)}) for n in names}), folder)


def content(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in sorted(folder.iterdir()) if p.is_file()}


@pytest.mark.parametrize("inside", [False, True], ids=["elsewhere", "current folder"])
def test_an_exported_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, inside: bool
) -> None:
    def export(out: Path) -> None:
        check_folder(out)
        with folder_beside(out) as folder:
            exported(folder, "audio.onnx", "video.onnx")
            put(folder, out)

    export(tmp_path / "new")
    new, step, over = content(tmp_path / "new"), 0, False
    while not over:
        place = tmp_path / f"{step}" / "model"
        place.parent.mkdir()
        exported(place, "head.onnx", "video.onnx")
        old = content(place)
        monkeypatch.chdir(place if inside else tmp_path)
        out = Path() if inside else place
        over = killed_at(step, monkeypatch, lambda out=out: export(out))
        if not inside and place.exists():
            assert content(place) in (old, new), step
        export(out)
        assert content(place) == new, step
        assert os.listdir(place.parent) == ["model"], step
        assert sorted(os.listdir(place)) == sorted(new), step
        step += 1
    assert step > 5


def test_an_adapted_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    exported(tmp_path / "model", "audio.onnx", "video.onnx")
    source, step, over = read_artefact(tmp_path / "model"), 0, False

    def adapt(out: Path, intercept: float) -> None:
        check_output(out)
        write_exported(source, out, Calibration(intercept, 1.0), {"by": "hand"})

    while not over:
        out = tmp_path / f"{step}" / "out"
        adapt(out, 1.0)
        over = killed_at(step, monkeypatch, lambda out=out: adapt(out, 2.0))
        if out.exists():
            assert read_artefact(out).calibration["intercept"] in (1.0, 2.0)
            assert sorted(os.listdir(out)) == ["audio.onnx", MANIFEST, "video.onnx"]
        adapt(out, 2.0)
        assert read_artefact(out).calibration["intercept"] == 2.0
        assert os.listdir(out.parent) == ["out"]
        step += 1
    assert step > 3


def test_a_clip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def write(place: LocalStorage, text: str) -> None:
        with place.scratch("id/clip") as scratch:
            (scratch / "clip").mkdir()
            for name in ("a", "b"):
                (scratch / "clip" / name).write_text(text)
            place.put_folder(scratch / "clip", "id/clip")

    step, over = 0, False
    while not over:
        place = LocalStorage(tmp_path / f"{step}")
        place.make()
        write(place, "old")
        over = killed_at(step, monkeypatch, lambda place=place: write(place, "new"))
        clip = place.path / "id" / "clip"
        if clip.exists():
            assert content(clip) in ({"a": b"old", "b": b"old"}, {"a": b"new", "b": b"new"})
        write(place, "new")
        assert content(clip) == {"a": b"new", "b": b"new"}
        assert os.listdir(place.path) == ["id"]
        step += 1
    assert step > 3
