"""What a run writes down: tables that any program reads, and what other programs for curves want."""

from __future__ import annotations

import csv
import io
import json
import logging
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from synctool.extras import EXTRAS, is_installed, require
from synctool.files import write_text
from synctool.training.wandb_log import WandbLog

EPOCHS = "log.csv"
"""One row for every epoch."""
STEPS = "steps.csv"
"""One row for every few steps."""
_log = logging.getLogger(__name__)


class RunLog(Protocol):
    """Something that a run is written to."""

    def step(self, row: Mapping[str, Any]) -> None:
        """Means over the last few steps: ``step``, ``epoch``, ``rate``, ``loss`` and others."""

    def epoch(self, row: Mapping[str, Any]) -> None:
        """An epoch: the same, with the metrics of the validation."""

    def close(self) -> None:
        """The run ends."""


class CsvLog:
    """Tables in the folder of the run.

    Args:
        folder: Where.
        since: Rows of later steps are removed: those of a run that was killed after it was saved.
    """

    def __init__(self, folder: Path, *, since: int = 0) -> None:
        self._folder = folder
        for name in (EPOCHS, STEPS):
            rows = [row for row in _read(folder / name) if _step(row) <= since]
            if rows:
                _write(folder / name, rows)
            else:
                (folder / name).unlink(missing_ok=True)

    def step(self, row: Mapping[str, Any]) -> None:
        """Append a row to ``steps.csv``."""
        _append(self._folder / STEPS, row)

    def epoch(self, row: Mapping[str, Any]) -> None:
        """Append a row to ``log.csv``."""
        _append(self._folder / EPOCHS, row)

    def close(self) -> None:
        """Every row is already written."""


class TensorBoardLog:
    """Files for ``tensorboard --logdir``.

    Args:
        folder: Folder of the run; the files go to ``tensorboard`` in it.
        since: Later steps are hidden.

    Raises:
        MissingError: tensorboardX is not installed.
    """

    def __init__(self, folder: Path, *, since: int = 0) -> None:
        require("tensorboard", "--logger tensorboard")
        from tensorboardX import SummaryWriter

        self._writer = SummaryWriter(str(folder / "tensorboard"), purge_step=since + 1)

    def step(self, row: Mapping[str, Any]) -> None:
        """Curves of the training."""
        self._add("train", row)

    def epoch(self, row: Mapping[str, Any]) -> None:
        """Curves of the validation."""
        self._add("epoch", row)
        self._writer.flush()

    def close(self) -> None:
        """Write what is left."""
        self._writer.close()

    def _add(self, part: str, row: Mapping[str, Any]) -> None:
        for name, value in row.items():
            if name != "step" and isinstance(value, int | float):
                self._writer.add_scalar(f"{part}/{name}", value, int(row["step"]))


def loggers(asked: Sequence[str] | None, *, tensorboard: str) -> tuple[str, ...]:
    """The names of a run's loggers: the tables, and what else is asked for or there.

    Args:
        asked: Names from ``LOGGERS``; None where nobody said any.
        tensorboard: ``yes``, ``no``, or ``auto`` for yes where tensorboardX is installed and no loggers
            are named.
    """
    names = ["csv", *(asked or ())]
    if tensorboard == "yes" or (
        tensorboard == "auto" and asked is None and is_installed("tensorboardX")
    ):
        names.append("tensorboard")
    if tensorboard == "no":
        names = [name for name in names if name != "tensorboard"]
    return tuple(dict.fromkeys(names))


def check_loggers(names: Sequence[str]) -> None:
    """Make sure before a run that its loggers are here.

    Args:
        names: See ``loggers``.

    Raises:
        MissingError: A package is not installed.
    """
    for name in names:
        if name in EXTRAS:
            require(name, f"--logger {name}")


def open_logs(
    folder: Path, names: Sequence[str], *, since: int = 0, settings: Path | None = None
) -> list[RunLog]:
    """The logs of a run.

    Args:
        folder: Folder of the run.
        names: See ``loggers``.
        since: The step from which the run goes on; what was logged after it is dropped.
        settings: File of the run's settings, for loggers that show them; by default ``config.toml`` in the
            folder.

    Raises:
        MissingError: A package is not installed.
    """
    check_loggers(names)
    logs: list[RunLog] = []
    for name in names:
        if name == "csv":
            logs.append(CsvLog(folder, since=since))
        elif name == "tensorboard":
            logs.append(TensorBoardLog(folder, since=since))
        else:
            logs.append(WandbLog(folder, settings=settings or folder / "config.toml"))
    return logs


def _read(path: Path) -> list[dict[str, Any]]:
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))
    except FileNotFoundError:
        return []
    except (csv.Error, ValueError, OSError) as error:
        _log.warning("%s cannot be read and is begun anew: %s", path, error)
        return []


def _step(row: Mapping[str, Any]) -> float:
    try:
        return int(row["step"])
    except (KeyError, TypeError, ValueError):
        return math.inf  # a row that was not written here, or torn


def _append(path: Path, row: Mapping[str, Any]) -> None:
    shown = {k: json.dumps(v) if isinstance(v, dict | list) else v for k, v in row.items()}
    names = _header(path)
    if names and not set(shown) - set(names):
        with path.open("a", newline="", encoding="utf-8") as file:
            csv.DictWriter(file, fieldnames=names).writerow(shown)
        return
    # The first row, or one with figures that the earlier ones had not.
    _write(path, [*_read(path), shown])


def _header(path: Path) -> list[str]:
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return next(csv.reader(file), [])
    except FileNotFoundError:
        return []


def _write(path: Path, rows: list[dict[str, Any]]) -> None:
    names = list(dict.fromkeys(name for row in rows for name in row if name is not None))
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=names, lineterminator="\r\n", extrasaction="ignore")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, text.getvalue())
