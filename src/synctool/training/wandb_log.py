"""Logging of a run for Weights & Biases, which stays on this machine unless somebody asks otherwise."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from synctool.extras import require
from synctool.untrusted.documents import read_toml
from synctool.untrusted.origin import MalformedError

EXTRA = "wandb"
_PROJECT = "synctool"
_STEP = "step"


class WandbLog:
    """A run of Weights & Biases in ``wandb`` in the folder of the run.

    It is written offline, for ``wandb sync FOLDER/wandb/offline-run-...`` by hand, unless ``WANDB_MODE`` says
    otherwise. ``WANDB_PROJECT`` names the project (``synctool``). A run that goes on keeps its id, and each
    value stands at its training step.

    Args:
        folder: Folder of the run.
        settings: File of its settings, which become those of the W&B run; none where it cannot be read.

    Raises:
        MissingError: wandb is not installed.
    """

    def __init__(self, folder: Path, *, settings: Path) -> None:
        require(EXTRA, "--logger wandb")
        mode = os.environ.get("WANDB_MODE") or "offline"
        if mode == "offline":
            # Read when wandb is imported: it would send reports of its own crashes.
            os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
        import wandb  # type: ignore[import-not-found] # in an extra

        self._run: Any = wandb.init(
            project=os.environ.get("WANDB_PROJECT") or _PROJECT,
            name=folder.resolve().name,
            id=hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:16],
            resume="allow",
            dir=str(folder),
            mode=mode,
            config=_table(settings),
            settings=wandb.Settings(
                console="off", disable_git=True, save_code=False, silent=mode == "offline"
            ),
        )
        self._run.define_metric(_STEP)
        for part in ("train", "epoch"):
            self._run.define_metric(f"{part}/*", step_metric=_STEP)

    def step(self, row: Mapping[str, Any]) -> None:
        """Curves of the training."""
        self._add("train", row)

    def epoch(self, row: Mapping[str, Any]) -> None:
        """Curves of the validation."""
        self._add("epoch", row)

    def close(self) -> None:
        """End the W&B run."""
        self._run.finish()

    def _add(self, part: str, row: Mapping[str, Any]) -> None:
        values = {
            f"{part}/{name}": value
            for name, value in row.items()
            if name != _STEP and isinstance(value, int | float)
        }
        self._run.log({_STEP: int(row[_STEP]), **values})


def _table(path: Path) -> dict[str, Any]:
    try:
        return read_toml(path)
    except (OSError, MalformedError):
        return {}
