"""Where settings come from: a default gives way to the settings file, that to the environment, that to
flags.

The file is ``synctool.toml`` in the current folder, or what ``SYNCTOOL_CONFIG`` names; a variable is
``SYNCTOOL_<SECTION>_<NAME>``, for example ``SYNCTOOL_DETECT_MAX_OFFSET``.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from pathlib import Path
from types import MappingProxyType
from typing import Any

from synctool.errors import MissingError, UsageError
from synctool.settings.base import Settings, Some, refuse, rows
from synctool.settings.compare import CompareSettings
from synctool.settings.detect import DetectSettings
from synctool.settings.download import DownloadSettings
from synctool.settings.export import ExportSettings
from synctool.settings.fields import Setting, did_you_mean
from synctool.settings.fix import FixSettings
from synctool.settings.pairs import PairsSettings
from synctool.settings.preprocess import PreprocessSettings
from synctool.settings.train import TrainSettings
from synctool.untrusted.documents import read_toml
from synctool.untrusted.origin import MalformedError

FILE_NAME = "synctool.toml"
ENV_PREFIX = "SYNCTOOL_"
ENV_FILE = "SYNCTOOL_CONFIG"

RECORD = "run"
"""Table of a settings file that a run added to its settings: what it was made with. It is passed over."""

SECTIONS: Mapping[str, type[Settings]] = MappingProxyType(
    {
        kind.section: kind
        for kind in (
            DetectSettings,
            FixSettings,
            CompareSettings,
            PreprocessSettings,
            PairsSettings,
            TrainSettings,
            ExportSettings,
            DownloadSettings,
        )
    }
)
"""The classes of settings by the name of their command, which is that of their table in a file."""

_log = logging.getLogger(__name__)


def env_name(section: str, name: str) -> str:
    """The environment variable of a setting, for example ``SYNCTOOL_DETECT_MAX_OFFSET``."""
    return f"{ENV_PREFIX}{section}_{name}".upper()


def resolve(
    kind: type[Some], flags: Mapping[str, object] | None = None, *, file: Path | None = None
) -> Some:
    """Read the settings of a command from all places, the later ones winning.

    The whole file and all ``SYNCTOOL_*`` variables are checked, not only the section asked for, so
    that a mistake is told before a long job and not after it.

    Args:
        kind: Class of the settings.
        flags: Values by setting name; None means that the flag was not given.
        file: The settings file; None for the usual one.

    Returns:
        The settings.

    Raises:
        MissingError: ``file`` or ``SYNCTOOL_CONFIG`` names a file that does not exist.
        UsageError: Naming every unknown setting and wrong value at once.
    """
    found = _Found()
    _read_file(found, file)
    _read_environment(found)
    given = {name: value for name, value in (flags or {}).items() if value is not None}
    known = {row.name: row for row in rows(kind)}
    found.take(kind, given, lambda n: known[n].flag if n in known else "--" + n.replace("_", "-"))
    settings = found.settings(kind)
    settings.refuse_idle(given)
    return settings


class _Found:
    """Values by section, and all that is wrong with them."""

    def __init__(self) -> None:
        self.problems: list[str] = []
        self._values: dict[str, dict[str, Any]] = {section: {} for section in SECTIONS}

    def take(
        self,
        kind: type[Settings],
        given: Mapping[str, object],
        label: Callable[[str], str],
        *,
        text: bool = False,
        flags: bool = True,
    ) -> None:
        """Check values of one section; ``label`` says where they stand."""
        known = {row.name: row for row in rows(kind)}
        for said, value in given.items():
            row = known.get(said) or self._renamed(known, given, said, label)
            if row is None:
                self.problems.append(f"{label(said)}: unknown setting{did_you_mean(said, known)}")
            elif row.line.flag_only and not flags:
                self.problems.append(f"{label(said)}: {row.flag} can be given as a flag only")
            else:
                try:
                    self._values[kind.section][row.name] = row.parse(value, text=text)
                except ValueError as error:
                    self.problems.append(f"{label(said)}: {error}")

    def _renamed(
        self,
        known: Mapping[str, Setting],
        given: Mapping[str, object],
        said: str,
        label: Callable[[str], str],
    ) -> Setting | None:
        for row in known.values():
            if row.line.formerly == said:
                if row.name in given:
                    self.problems.append(f"{label(said)}: {row.name} is there, too")
                _log.warning("%s is called %s now", label(said), label(row.name))
                return row
        return None

    def settings(self, kind: type[Some]) -> Some:
        """The settings of one section, unless anything is wrong anywhere.

        Raises:
            UsageError: Naming all that is wrong at once.
        """
        refuse(self.problems, kind.section)
        for section, other in SECTIONS.items():
            if other is not kind and self._values[section]:
                other(**self._values[section])
        return kind(**self._values[kind.section])


def _read_file(found: _Found, given_file: Path | None) -> None:
    named = given_file or os.environ.get(ENV_FILE)
    path = Path(named).expanduser() if named else Path(FILE_NAME)
    if not path.is_file():
        if named:
            remedy = "Check its path." if given_file else f"Fix or unset {ENV_FILE}."
            raise MissingError(f"the settings file {named} does not exist", remedy=remedy)
        return
    try:
        tables = read_toml(path)
    except (OSError, MalformedError) as error:
        raise UsageError(
            f"the settings file {path} cannot be read: {error}", remedy="Fix or remove it."
        ) from error
    for section, given in tables.items():
        if section == RECORD and isinstance(given, dict):
            continue
        if section not in SECTIONS:
            near = did_you_mean(section, SECTIONS)
            found.problems.append(f"{path}: unknown table [{section}]{near}")
        elif not isinstance(given, dict):
            found.problems.append(f"{path}: {section} must be a table, [{section}]")
        else:
            place = f"{path} [{section}]"
            found.take(SECTIONS[section], given, lambda n, p=place: f"{p} {n}", flags=False)


def _read_environment(found: _Found) -> None:
    known = [env_name(s, row.name) for s, kind in SECTIONS.items() for row in rows(kind)]
    by_section: dict[str, dict[str, str]] = {section: {} for section in SECTIONS}
    for variable in sorted(os.environ):
        upper, value = variable.upper(), os.environ[variable]
        if not upper.startswith(ENV_PREFIX) or not value.strip():
            continue
        section, _, name = upper.removeprefix(ENV_PREFIX).lower().partition("_")
        if section in SECTIONS and name:
            by_section[section][name] = value
        elif near := get_close_matches(upper, known, n=1, cutoff=0.9):
            found.problems.append(f"{variable}: unknown setting (did you mean {near[0]!r}?)")
    for section, given in by_section.items():
        label = lambda n, s=section: env_name(s, n)  # noqa: E731
        found.take(SECTIONS[section], given, label, text=True, flags=False)
