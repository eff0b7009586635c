"""Made-up plugins and specs, and a way to run the program in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from synctool.plugins.hookspecs import hookimpl
from synctool.plugins.loader import Plugins
from synctool.plugins.specs import AudioInput, BackboneSpec, FaceDetectorSpec, VideoInput


def backbone_spec(
    name: str, role: str = "joint", tag: str = "base", **more: object
) -> BackboneSpec:
    """A waveform spec; its factory is never called."""
    fields = {
        "video": None if role == "audio" else VideoInput(crop="face", size_px=112, colour="rgb"),
        "audio": None if role == "video" else AudioInput(kind="logmel64"),
        "default": True,
        "summary": f"made up {role}",
        "embedding_size": 8,
        "factory": "made_up.module:build",
    }
    return BackboneSpec(name=name, tag=tag, role=role, **{**fields, **more})


def detector_spec(name: str) -> FaceDetectorSpec:
    """A waveform spec; its factory is never called."""
    return FaceDetectorSpec(name=name, factory="made_up.module:Build", summary="made up")


class FakePlugin:
    """An object whose attributes implement hooks: functions, or values that they return."""

    def __init__(self, **hooks: object) -> None:
        for name, given in hooks.items():
            function = given if callable(given) else _returning(given)
            setattr(self, name, hookimpl(function))


def _returning(value: object) -> Callable[[], object]:
    return lambda: value


def with_backbones(*specs: BackboneSpec, strict: bool = False) -> Plugins:
    """A set of one plugin that gives these networks."""
    plugins = Plugins(strict=strict)
    plugins.register(
        FakePlugin(synctool_backbones=list(specs)), name="fake", distribution="fake-dist"
    )
    return plugins


def write_distribution(
    folder: Path, name: str, *, code: str, entry: str | None = None, version: str = "1.2"
) -> None:
    """Install a made-up distribution with one module into a folder, as ``pip`` would.

    Args:
        folder: Folder for ``PYTHONPATH``.
        name: Name of the distribution; the module has underscores for the dashes.
        code: Text of the module.
        entry: Name of the entry point, by default the name of the distribution.
        version: Version of the distribution.
    """
    module = name.replace("-", "_")
    info = folder / f"{module}-{version}.dist-info"
    info.mkdir(parents=True)
    (folder / f"{module}.py").write_text(code, encoding="utf-8")
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (info / "entry_points.txt").write_text(f"[synctool]\n{entry or name} = {module}\n")


def environment_of(
    path: Path | None = None, env: Mapping[str, str] | None = None
) -> dict[str, str]:
    """The environment of a new interpreter, without any ``SYNCTOOL_*`` variable but the given ones."""
    clean = {k: v for k, v in os.environ.items() if not k.upper().startswith("SYNCTOOL_")}
    if path is not None:
        clean["PYTHONPATH"] = os.pathsep.join(filter(None, [str(path), clean.get("PYTHONPATH")]))
    return {**clean, **(env or {})}


def run_python(
    code: str,
    *arguments: str,
    path: Path | None = None,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run code in a new interpreter; its environment is that of ``environment_of``."""
    command: Sequence[str] = [sys.executable, "-c", code, *arguments]
    return subprocess.run(
        command,
        env=environment_of(path, env),
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def run_synctool(*arguments: str, **more: object) -> subprocess.CompletedProcess[str]:
    """Run the program itself in a new interpreter; keywords as of ``run_python``."""
    code = "import sys; from synctool.cli.app import main; sys.exit(main())"
    return run_python(code, *arguments, **more)


class Answer(NamedTuple):
    """What a command line came to."""

    returncode: int
    stdout: str
    stderr: str


class Program:
    """An interpreter of its own that takes one command line after the other: its start takes the longest."""

    _CODE = """
import io, json, sys
from synctool.cli.app import main
# The same all along: loggers keep the stream that they find first.
sys.stdout, sys.stderr = said = io.StringIO(), io.StringIO()
try:
    for line in sys.stdin:
        code = main(json.loads(line))
        print(json.dumps([code, *(x.getvalue() for x in said)]), file=sys.__stdout__, flush=True)
        for stream in said:
            stream.seek(0), stream.truncate()
finally:
    sys.stdout, sys.stderr = sys.__stdout__, sys.__stderr__
"""

    def __init__(self, **more: object) -> None:
        """Start it.

        Args:
            **more: ``path`` and ``env`` as of ``environment_of``, and ``cwd``.
        """
        cwd = more.pop("cwd", None)
        self._process = subprocess.Popen(
            [sys.executable, "-c", self._CODE],
            env=environment_of(**more),
            cwd=cwd,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *words: str) -> Answer:
        """Run a command, and wait for its end."""
        print(json.dumps(words), file=self._process.stdin, flush=True)
        line = self._process.stdout.readline()
        assert line, self._process.stderr.read()
        return Answer(*json.loads(line))

    def close(self) -> str:
        """End it; gives what it wrote past the commands' own error stream."""
        return self._process.communicate(timeout=60)[1]
