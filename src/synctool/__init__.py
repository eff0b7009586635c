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
    from synctool.engine.compare import compare
    from synctool.engine.detect import detect
    from synctool.engine.export import export
    from synctool.engine.export_settings import ExportSettings
    from synctool.engine.models import load_model
    from synctool.errors import SyncToolError
    from synctool.hookspecs import hookimpl
    from synctool.types import DetectResult

_PUBLIC = {
    "DetectResult": "synctool.types",
    "ExportSettings": "synctool.engine.export_settings",
    "SyncToolError": "synctool.errors",
    "compare": "synctool.engine.compare",
    "detect": "synctool.engine.detect",
    "export": "synctool.engine.export",
    "hookimpl": "synctool.hookspecs",
    "load_model": "synctool.engine.models",
}

__all__ = [
    "DetectResult",
    "ExportSettings",
    "SyncToolError",
    "__version__",
    "compare",
    "detect",
    "export",
    "hookimpl",
    "load_model",
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
