"""The whole examination."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module

from synctool.doctor.findings import Diagnosis, Finding, guarded

_LOOKS = (
    ("Versions", "packages", "packages"),
    ("Extras", "packages", "extras"),
    ("Machine", "machine", "machine"),
    ("Devices", "machine", "devices"),
    ("Decoders and encoders", "codecs", "codecs"),
    ("Plugins", "surroundings", "plugins"),
    ("Settings", "surroundings", "settings"),
    ("Folders", "surroundings", "folders"),
    ("Weights", "weights_here", "weights"),
    ("Self-test", "self_test", "self_test"),
)
"""Heading, module and function. Each module imports what it looks at: a package that does not load costs its
own section only."""


def examine() -> Diagnosis:
    """Look at everything; what fails is a finding, and the rest goes on."""
    return Diagnosis(tuple(finding for look in _LOOKS for finding in _looked(*look)))


def _looked(section: str, module: str, function: str) -> Iterator[Finding]:
    def look() -> Iterator[Finding]:
        return getattr(import_module(f"synctool.doctor.{module}"), function)()

    return guarded(section, look, remedy="Report it, with what --debug shows.")
