"""The settings of a run: what they are, how they are stored beside it, and whether a run may go on."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from synctool._version import __version__
from synctool.data.augment import parse_augment
from synctool.errors import UsageError, WeightsError
from synctool.files import sha256, write_text
from synctool.names import printable_document
from synctool.networks.options import network_options
from synctool.settings.base import row_of
from synctool.settings.sources import RECORD
from synctool.settings.train import TrainSettings
from synctool.training.checkpoint import STATE, WEIGHTS
from synctool.training.loss_mixture import loss_term, loss_terms
from synctool.training.losses.objective import DEFAULT_TERMS, LossTerm
from synctool.untrusted.documents import parse_json, read_toml, typed
from synctool.untrusted.origin import MalformedError, Origin
from synctool.weights.files import load_weights

CONFIG = "config.toml"
"""All settings of a run, for ``--config``, and what it was made with."""
_CHECKED = ("split", "pairs", "constants", "init", "teacher", "targets", "units")
"""Files that a continued run must find as they were."""
_FREE = {
    *{"data", "out", "backgrounds", *_CHECKED, "device", "devices", "nodes", "workers", "cache_mb"},
    *{"save_every", "save_minutes", "log_every", "tensorboard", "logger"},
}
"""Settings that a continued run may change: what it learns does not depend on them."""
_TABLES = ("losses", "augmentations", "options")
_ANOTHER = "Give another --out, or remove the run."
_PRETRAINED = "pretrained"
_AUXILIARY = 0.15
"""Weight of further targets beside losses that begin near 3."""
_UNITS, _OF_UNITS = "speech-units", 0.1
"""The loss, and its weight: it begins near 5."""


def mixture(
    settings: TrainSettings,
    *,
    teacher: bool = False,
    values: int = 0,
    units: int = 0,
    embedding: int = 0,
) -> tuple[LossTerm, ...]:
    """The mixture of losses; what is learned from adds its own unless it is among them.

    Args:
        settings: The settings.
        teacher: Whether there is one, for ``distillation``.
        values: How many auxiliary targets a frame has, for ``auxiliary``.
        units: How many speech units there are, for ``speech-units``.
        embedding: D of the model.

    Raises:
        UsageError: There is no such loss or option.
    """
    terms = DEFAULT_TERMS if settings.losses is None else loss_terms(settings.losses)
    names = {term.name for term in terms}
    if teacher and "distillation" not in names:
        terms = (*terms, *loss_terms(["distillation"]))
    if values and "auxiliary" not in names:
        options = {"values": values, "embedding": embedding}
        terms = (*terms, loss_term("auxiliary", weight=_AUXILIARY, options=options))
    if units:
        sizes = {"units": units, "embedding": embedding}
        if _UNITS not in names:
            terms = (*terms, loss_term(_UNITS, weight=_OF_UNITS))
        terms = tuple(
            replace(term, options={**sizes, **term.options}) if term.name == _UNITS else term
            for term in terms
        )
    return terms


def settings_toml(settings: TrainSettings) -> str:
    """Settings as TOML that ``--config`` takes back.

    Args:
        settings: The settings.
    """
    import tomli_w

    return printable_document(tomli_w.dumps({"train": _table(settings)}))


def settle_config(
    output: Path,
    settings: TrainSettings,
    *,
    split: Path,
    pretrained: Mapping[str, str],
) -> None:
    """Write the settings beside a run, or find that they are those of the run that is there.

    Args:
        output: Folder of the run.
        settings: The settings.
        split: The split that is used.
        pretrained: Published weights that the run began with, by side.

    Raises:
        OutputError: The folder cannot be written to.
    """
    import tomli_w

    record = {**_record(settings, split), _PRETRAINED: dict(pretrained)}
    text = tomli_w.dumps({"train": _table(settings), RECORD: record})
    write_text(output / CONFIG, text)


def begun_with(output: Path) -> dict[str, str] | None:
    """Published weights that the run in a folder began with, by side; None where there is no run.

    What is on this machine by now says nothing about that.

    Args:
        output: Folder of the run.

    Raises:
        UsageError: The run's settings cannot be read.
        WeightsError: Its weights cannot be read.
    """
    if not (output / STATE).is_file():
        return None
    record = _read(output / CONFIG).get(RECORD)
    noted = record.get(_PRETRAINED) if isinstance(record, dict) else None
    if noted is None and (output / WEIGHTS).is_file():  # of a version that did not note it there
        text = load_weights(output / WEIGHTS).metadata.get(_PRETRAINED, "{}")
        with Origin(str(output / WEIGHTS), _ANOTHER, error=WeightsError).checked():
            noted = typed(parse_json(text), dict[str, str])
    with Origin(str(output / CONFIG), _ANOTHER, error=UsageError).checked():
        return typed(noted or {}, dict[str, str])


def check_config(output: Path, settings: TrainSettings, *, split: Path) -> bool:
    """Whether the folder holds a run that these settings go on with.

    Args:
        output: Folder of the run.
        settings: The settings.
        split: The split that is used.

    Raises:
        UsageError: It holds another run.
    """
    if not (output / STATE).is_file():
        return False
    tables = _read(output / CONFIG)
    own, old = _table(settings), tables.get("train", {})
    now, then = _record(settings, split), tables.get(RECORD, {})
    names = [name for name in {**_defaults(), **own, **old} if name not in _FREE]
    changed = [n for n in names if own.get(n, _default_of(n)) != old.get(n, _default_of(n))]
    sums = [f"{name}_sha256" for name in _CHECKED]
    changed += [name for name, key in zip(_CHECKED, sums) if now.get(key) != then.get(key)]
    if changed:
        raise UsageError(
            f"{output} holds a run with another {', '.join(sorted(changed))}",
            remedy="Give the same settings to continue it, or another --out.",
        )
    return True


def _table(settings: TrainSettings) -> dict[str, Any]:
    """All settings that have a value, in the order of ``--help``."""
    values = {k: v for k, v in settings.plain().items() if v is not None and k not in _TABLES}
    if changes := parse_augment(settings.augmentations or {}).as_dict():
        values["augmentations"] = changes
    if options := network_options(settings.options or ()):
        values["options"] = [options]
    if settings.losses is not None:
        values["losses"] = [_loss_table(term) for term in loss_terms(settings.losses)]
    return values


def _loss_table(term: LossTerm) -> dict[str, Any]:
    options = {"options": dict(term.options)} if term.options else {}
    return {"name": term.name, "weight": term.weight, **options}


def _record(settings: TrainSettings, split: Path) -> dict[str, str]:
    used = {**settings.as_dict(), "split": split}
    return {
        "synctool": __version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
        **{f"{n}_sha256": s for n in _CHECKED if (s := _sha256(used.get(n))) is not None},
    }


def _sha256(path: Path | str | None) -> str | None:
    return sha256(Path(path)) if path is not None and Path(path).is_file() else None


def _read(path: Path) -> dict[str, Any]:
    try:
        return read_toml(path)
    except (OSError, MalformedError) as error:
        raise UsageError(
            f"{path.parent} holds a run whose {path.name} cannot be read",
            remedy=_ANOTHER,
        ) from error


def _defaults() -> dict[str, Any]:
    return _table(TrainSettings())


def _default_of(name: str) -> Any:
    try:
        return row_of(TrainSettings, name).default
    except KeyError:  # of another version of the program
        return None
