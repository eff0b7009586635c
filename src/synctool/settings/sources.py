"""Where settings come from: a default gives way to the settings file, that to the environment, that to
flags.

The file is ``synctool.toml`` in the current folder, or what ``SYNCTOOL_CONFIG`` names; a variable is
``SYNCTOOL_<SECTION>_<NAME>``, for example ``SYNCTOOL_DETECT_MAX_OFFSET``.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from synctool.errors import MissingError, UsageError
from synctool.settings.adapt import AdaptSettings
from synctool.settings.base import Settings, Some, refuse, rows
from synctool.settings.bench import BenchSettings
from synctool.settings.compare import CompareSettings
from synctool.settings.demo import DemoSettings
from synctool.settings.detect import DetectSettings
from synctool.settings.download import DownloadSettings
from synctool.settings.explain import ExplainSettings
from synctool.settings.export import ExportSettings
from synctool.settings.fields import Setting, did_you_mean
from synctool.settings.fix import FixSettings
from synctool.settings.live import LiveSettings
from synctool.settings.pairs import PairsSettings
from synctool.settings.preprocess import PreprocessSettings
from synctool.settings.serve import ServeSettings
from synctool.settings.train import TrainSettings
from synctool.settings.units import UnitsSettings
from synctool.settings.verify import VerifySettings
from synctool.settings.watch import WatchSettings
from synctool.untrusted.documents import read_toml
from synctool.untrusted.origin import MalformedError

Source = Literal["default", "file", "environment", "flag"]
"""Kinds of places that settings come from, each winning over those before it."""

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
            VerifySettings,
            ExplainSettings,
            CompareSettings,
            BenchSettings,
            PreprocessSettings,
            PairsSettings,
            UnitsSettings,
            TrainSettings,
            AdaptSettings,
            ExportSettings,
            DownloadSettings,
            WatchSettings,
            DemoSettings,
            ServeSettings,
            LiveSettings,
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
    settings, _ = _resolved(kind, flags, file)
    return settings


@dataclass(frozen=True)
class SettingOrigin:
    """A setting with its value, and where that comes from.

    Attributes:
        setting: The setting.
        value: Its value.
        source: Kind of the place that decides.
        place: The flag, the variable, or the file with its table; "" for a default.
    """

    setting: Setting
    value: Any
    source: Source
    place: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "value": self.setting.plain(self.value),
            "source": self.source,
            "place": self.place or None,
        }


def origins(
    kind: type[Settings], flags: Mapping[str, object] | None = None, *, file: Path | None = None
) -> list[SettingOrigin]:
    """The settings of a command with the origin of every value, in the order of ``--help``.

    Args:
        kind: Class of the settings.
        flags: Values by setting name; None means that the flag was not given.
        file: The settings file; None for the usual one.

    Raises:
        MissingError: See ``resolve``.
        UsageError: See ``resolve``.
    """
    settings, decided = _resolved(kind, flags, file)
    return [
        SettingOrigin(row, getattr(settings, row.name), *decided.get(row.name, ("default", "")))
        for row in rows(kind)
    ]


def settings_file() -> Path:
    """The settings file that is read, which need not exist."""
    named = os.environ.get(ENV_FILE)
    return Path(named).expanduser() if named else Path(FILE_NAME)


def _resolved(
    kind: type[Some], flags: Mapping[str, object] | None, file: Path | None
) -> tuple[Some, Mapping[str, tuple[Source, str]]]:
    found = _Found()
    _read_file(found, file)
    _read_environment(found)
    given = {name: value for name, value in (flags or {}).items() if value is not None}
    known = {row.name: row for row in rows(kind)}

    def label(name: str) -> str:
        return known[name].flag if name in known else "--" + name.replace("_", "-")

    found.take(kind, given, label, source="flag")
    settings = found.settings(kind)
    settings.refuse_idle(given)
    return settings, found.decided[kind.section]


class _Found:
    """Values by section, and all that is wrong with them.

    Attributes:
        problems: What is wrong.
        decided: By section and name, the kind of the place that decides a value, and the place.
    """

    def __init__(self) -> None:
        self.problems: list[str] = []
        self.decided: dict[str, dict[str, tuple[Source, str]]] = {s: {} for s in SECTIONS}
        self._values: dict[str, dict[str, Any]] = {section: {} for section in SECTIONS}

    def take(
        self,
        kind: type[Settings],
        given: Mapping[str, object],
        label: Callable[[str], str],
        *,
        source: Source,
    ) -> None:
        """Check values of one section; ``label`` says where they stand."""
        known = {row.name: row for row in rows(kind)}
        for said, value in given.items():
            row = known.get(said) or self._renamed(known, given, said, label)
            if row is None:
                self.problems.append(f"{label(said)}: unknown setting{did_you_mean(said, known)}")
            elif row.line.flag_only and source != "flag":
                self.problems.append(f"{label(said)}: {row.flag} can be given as a flag only")
            else:
                try:
                    typed = source == "environment" or (source == "flag" and row.numeric)
                    parsed = row.parse(value, text=typed and isinstance(value, str))
                    self._values[kind.section][row.name] = parsed
                    self.decided[kind.section][row.name] = (source, label(said))
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
    path = given_file.expanduser() if given_file else settings_file()
    if not path.is_file():
        if named:
            remedy = "Check its path." if given_file else f"Fix or unset {ENV_FILE}."
            raise MissingError(f"the settings file {named} does not exist", remedy=remedy)
        return
    try:
        tables = read_toml(path)
    except OSError as error:
        raise MissingError(
            f"the settings file {path} cannot be read: {error.strerror or error}",
            remedy="Check its permissions.",
        ) from error
    except MalformedError as error:
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
            found.take(SECTIONS[section], given, lambda n, p=place: f"{p} {n}", source="file")


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
        found.take(SECTIONS[section], given, label, source="environment")
