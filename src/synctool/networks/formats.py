"""The formats that a model can be exported to, and whether their tools are here."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from typing import Any

from synctool.errors import MissingError, UsageError
from synctool.extras import installing as installing_extra
from synctool.extras import is_installed, missing_modules
from synctool.plugins import registry
from synctool.plugins.specs import ExporterSpec

_PYTORCH = "torch"
"""What every format is written from."""


@dataclass(frozen=True)
class FormatStatus:
    """A format, and what of its tools is here.

    Attributes:
        spec: The format.
        lacks_to_write: Modules that writing takes and that are not installed.
        lacks_to_run: The same for running.
    """

    spec: ExporterSpec
    lacks_to_write: tuple[str, ...]
    lacks_to_run: tuple[str, ...]

    @property
    def cannot_run_because(self) -> str:
        """Why it cannot be run on this machine, in words; "" where it can."""
        if not self.spec.reader:
            return f"nothing runs {self.spec.name} from Python"
        if self.spec.runs_on and platform.system() not in self.spec.runs_on:
            return f"{self.spec.name} runs on {' and '.join(self.spec.runs_on)} only"
        if self.lacks_to_run:
            return f"{', '.join(self.lacks_to_run)} is not installed"
        return ""

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "name": self.spec.name,
            "summary": self.spec.summary,
            "precisions": list(self.spec.precisions),
            "can_write": not self.lacks_to_write,
            "can_run": not self.cannot_run_because,
            "cannot_run_because": self.cannot_run_because or None,
            "runs_on": list(self.spec.runs_on),
            "install": None if not self.spec.requirement else installing_writer(self.spec),
        }


def formats() -> list[FormatStatus]:
    """All formats, by name.

    Raises:
        PluginError: Two plugins claim one name.
    """
    return [status(spec) for spec in registry.exporters.all()]


def status(spec: ExporterSpec) -> FormatStatus:
    """What of a format's tools is here."""
    writing = (_PYTORCH, *spec.writes_with)
    return FormatStatus(spec, missing_modules(writing), missing_modules(spec.runs_with))


def check_writes(found: FormatStatus) -> None:
    """Make sure that a format can be written here.

    Raises:
        MissingError: A module is not installed.
    """
    if found.lacks_to_write:
        lacking = ", ".join(found.lacks_to_write)
        verb = "is" if len(found.lacks_to_write) == 1 else "are"
        raise MissingError(
            f"writing {found.spec.name} takes {lacking}, which {verb} not installed",
            remedy=f"Install with: {installing_writer(found.spec)}",
        )


def check_runs(found: FormatStatus) -> None:
    """Make sure that models of a format can run here.

    Raises:
        UsageError: Nothing runs it from Python, or not on this system.
        MissingError: A package is not installed.
    """
    if found.lacks_to_run:
        raise MissingError(
            f"running {found.spec.name} takes {', '.join(found.lacks_to_run)}, not installed here",
            remedy=f"Install with: {installing(found.spec)}",
        )
    if found.cannot_run_because:
        raise UsageError(
            f"this model cannot be run here: {found.cannot_run_because}",
            remedy="Export to another format, such as onnx.",
        )


def installing_writer(spec: ExporterSpec) -> str:
    """The command that installs a format's tools, and PyTorch where it is not here."""
    with_pytorch = installing_extra("export")
    if is_installed(_PYTORCH) or installing(spec) == with_pytorch:
        return installing(spec)
    return f"{with_pytorch} {installing(spec).removeprefix('pip install ')}"


def installing(spec: ExporterSpec) -> str:
    """The command that installs a format's tools."""
    return f"pip install '{spec.requirement or ' '.join(spec.writes_with)}'"
