"""A fresh Python environment that sees what is installed here, and installs plugins without a network."""

from __future__ import annotations

import os
import subprocess
import sysconfig
import venv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fake_samples import talking_sample, write_processed
from synctool.prepare.pairs import pairs
from synctool.settings.pairs import PairsSettings
from videos import PlacedFace, face_video

_OFFLINE = {
    "PIP_NO_INDEX": "1",
    "PIP_NO_DEPS": "1",
    "PIP_NO_BUILD_ISOLATION": "0",  # pip takes the value for the one of --build-isolation
    "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    "PYTHONDONTWRITEBYTECODE": "1",
    "OMP_NUM_THREADS": "1",
}


@dataclass(frozen=True)
class FreshEnvironment:
    """A virtual environment of its own on top of the packages of this one.

    Attributes:
        folder: Where it is.
    """

    folder: Path

    @property
    def programs(self) -> Path:
        """Its folder of programs: ``python``, ``pip``, ``synctool``."""
        return self.folder / ("Scripts" if os.name == "nt" else "bin")

    def run(
        self, *words: str | Path, cwd: Path, env: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a command as a person would who has activated the environment.

        Args:
            words: The program and its arguments.
            cwd: Where.
            env: More of the environment; of ``SYNCTOOL_*`` there is nothing else.
        """
        own = {k: v for k, v in os.environ.items() if not k.upper().startswith("SYNCTOOL_")}
        own.pop("PYTHONPATH", None)
        own |= _OFFLINE | {"PATH": f"{self.programs}{os.pathsep}{own.get('PATH', '')}"}
        command: Sequence[str] = [str(word) for word in words]
        # Found by hand: subprocess looks for programs on the path of the tests, not on that given.
        program = self.programs / command[0]
        if program.is_file():
            command = [str(program), *command[1:]]
        return subprocess.run(
            command,
            env={**own, **(env or {})},
            cwd=cwd,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )


def fresh_environment(folder: Path) -> FreshEnvironment:
    """Make an environment in a folder.

    The packages come last on its path, so that what is installed into it goes before them.
    """
    venv.create(folder, with_pip=False, symlinks=os.name != "nt")
    made = FreshEnvironment(folder)
    own = Path(sysconfig.get_path("purelib", vars={"base": str(folder), "platbase": str(folder)}))
    places = dict.fromkeys([sysconfig.get_path("purelib"), sysconfig.get_path("platlib")])
    # addsitedir and not the path alone: packages here may be editable, which is a .pth file again.
    lines = [f"import site; site.addsitedir({place!r})" for place in places]
    (own / "beneath.pth").write_text("\n".join(lines) + "\n")
    for name, code in {
        "pip": "from pip._internal.cli.main import main",
        "pytest": "from pytest import console_main as main",
        "synctool": "from synctool.cli.app import main",
    }.items():
        program = made.programs / name
        program.write_text(f"#!{made.programs / 'python'}\nimport sys\n{code}\nsys.exit(main())\n")
        program.chmod(0o755)
    return made


def said(done: subprocess.CompletedProcess[str]) -> str:
    """What a command printed, for the message of a test that fails."""
    return f"{' '.join(done.args)} ended with {done.returncode}\n{done.stdout}\n{done.stderr}"


def work_folder(folder: Path) -> Path:
    """Put a tiny training set ``processed`` and a video with a face, ``talk.mp4``, into a folder."""
    made = [talking_sample(f"k{i}", seed=i, frames=12, speaker=f"s{i % 3}") for i in range(6)]
    write_processed(folder / "processed", made)
    pairs(folder / "processed", settings=PairsSettings(val_fraction=0.34, test_fraction=0.0))
    face_video(folder / "talk.mp4", [(24, lambda _: [PlacedFace(160, 120, 110)])], size=(320, 240))
    return folder


BRIEF_TRAINING = {
    "SYNCTOOL_TRAIN_EPOCHS": "1",
    "SYNCTOOL_TRAIN_STEPS_PER_EPOCH": "1",
    "SYNCTOOL_TRAIN_BATCH_SIZE": "2",
    "SYNCTOOL_TRAIN_WINDOW_FRAMES": "6",
    "SYNCTOOL_TRAIN_WORKERS": "0",
    "SYNCTOOL_TRAIN_DEVICE": "cpu",
    "SYNCTOOL_TRAIN_TENSORBOARD": "no",
}
"""Settings with which ``train`` takes one step and ends."""
