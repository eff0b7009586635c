"""Measure how far the sound and the picture of a talking face are apart.

The public names are loaded when they are first used, so that importing the package stays cheap:

    import synctool
    result = synctool.detect("talk.mp4")
    print(result.offset_ms, result.audio_is, result.verdict)
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from synctool._version import __version__

if TYPE_CHECKING:
    from synctool.comparison.run import compare
    from synctool.errors import SyncToolError
    from synctool.exporting.run import export
    from synctool.exporting.settings import ExportSettings
    from synctool.measure.detect import detect
    from synctool.networks.load import load_model
    from synctool.plugins.hookspecs import hookimpl
    from synctool.repairing.fix import FixResult, fix
    from synctool.repairing.plan import OffsetSpan, RepairPlan
    from synctool.repairing.run import repair
    from synctool.types import DetectResult

_PUBLIC = {
    "DetectResult": "synctool.types",
    "ExportSettings": "synctool.exporting.settings",
    "FixResult": "synctool.repairing.fix",
    "OffsetSpan": "synctool.repairing.plan",
    "RepairPlan": "synctool.repairing.plan",
    "SyncToolError": "synctool.errors",
    "compare": "synctool.comparison.run",
    "detect": "synctool.measure.detect",
    "export": "synctool.exporting.run",
    "fix": "synctool.repairing.fix",
    "hookimpl": "synctool.plugins.hookspecs",
    "load_model": "synctool.networks.load",
    "repair": "synctool.repairing.run",
}

__all__ = [
    "DetectResult",
    "ExportSettings",
    "FixResult",
    "OffsetSpan",
    "RepairPlan",
    "SyncToolError",
    "__version__",
    "compare",
    "detect",
    "export",
    "fix",
    "hookimpl",
    "load_model",
    "repair",
]


def __getattr__(name: str) -> Any:
    """Load a public name from its module on first use (PEP 562)."""
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        value = getattr(import_module(_PUBLIC[name]), name)
    except ModuleNotFoundError as error:
        from synctool.extras import explained

        raise explained(error, f"synctool.{name}") from error
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_PUBLIC})
