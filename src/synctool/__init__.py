"""Measure how far audio and video of a talking face are apart.

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
    from synctool.adapting.adaptation import Adaptation
    from synctool.adapting.run import adapt
    from synctool.comparison.run import Comparison, compare
    from synctool.downloads.run import Downloaded, download
    from synctool.errors import SyncToolError
    from synctool.evaluation.metric_specs import Metric
    from synctool.explaining.run import Explanation, explain
    from synctool.exporting.formats.checks import ExportReport
    from synctool.exporting.run import export
    from synctool.measure.arrays import DetectArrays
    from synctool.measure.detect import Detector, detect
    from synctool.measure.detect_many import detect_many
    from synctool.measure.verify import Verification, verify
    from synctool.networks.load import load_model
    from synctool.plugins.hookspecs import hookimpl
    from synctool.prepare.pairs import pairs
    from synctool.prepare.preprocess import preprocess
    from synctool.repairing.fix import FixResult, fix
    from synctool.repairing.plan import OffsetSpan, RepairPlan
    from synctool.repairing.run import RepairReport, repair
    from synctool.settings.adapt import AdaptSettings
    from synctool.settings.compare import CompareSettings
    from synctool.settings.detect import DetectSettings
    from synctool.settings.download import DownloadSettings
    from synctool.settings.explain import ExplainSettings
    from synctool.settings.export import ExportSettings
    from synctool.settings.fix import FixSettings
    from synctool.settings.pairs import PairsSettings
    from synctool.settings.preprocess import PreprocessSettings
    from synctool.settings.train import TrainSettings
    from synctool.settings.verify import VerifySettings
    from synctool.training.train import train
    from synctool.types import DetectResult, Trial

_PUBLIC = {
    "AdaptSettings": "synctool.settings.adapt",
    "Adaptation": "synctool.adapting.adaptation",
    "CompareSettings": "synctool.settings.compare",
    "Comparison": "synctool.comparison.run",
    "DetectArrays": "synctool.measure.arrays",
    "DetectResult": "synctool.types",
    "DetectSettings": "synctool.settings.detect",
    "Detector": "synctool.measure.detect",
    "DownloadSettings": "synctool.settings.download",
    "Downloaded": "synctool.downloads.run",
    "ExplainSettings": "synctool.settings.explain",
    "Explanation": "synctool.explaining.run",
    "ExportReport": "synctool.exporting.formats.checks",
    "ExportSettings": "synctool.settings.export",
    "FixResult": "synctool.repairing.fix",
    "FixSettings": "synctool.settings.fix",
    "Metric": "synctool.evaluation.metric_specs",
    "OffsetSpan": "synctool.repairing.plan",
    "PairsSettings": "synctool.settings.pairs",
    "PreprocessSettings": "synctool.settings.preprocess",
    "RepairPlan": "synctool.repairing.plan",
    "RepairReport": "synctool.repairing.run",
    "SyncToolError": "synctool.errors",
    "TrainSettings": "synctool.settings.train",
    "Trial": "synctool.types",
    "Verification": "synctool.measure.verify",
    "VerifySettings": "synctool.settings.verify",
    "adapt": "synctool.adapting.run",
    "compare": "synctool.comparison.run",
    "detect": "synctool.measure.detect",
    "detect_many": "synctool.measure.detect_many",
    "download": "synctool.downloads.run",
    "explain": "synctool.explaining.run",
    "export": "synctool.exporting.run",
    "fix": "synctool.repairing.fix",
    "hookimpl": "synctool.plugins.hookspecs",
    "load_model": "synctool.networks.load",
    "pairs": "synctool.prepare.pairs",
    "preprocess": "synctool.prepare.preprocess",
    "repair": "synctool.repairing.run",
    "train": "synctool.training.train",
    "verify": "synctool.measure.verify",
}

__all__ = [
    "AdaptSettings",
    "Adaptation",
    "CompareSettings",
    "Comparison",
    "DetectArrays",
    "DetectResult",
    "DetectSettings",
    "Detector",
    "DownloadSettings",
    "Downloaded",
    "ExplainSettings",
    "Explanation",
    "ExportReport",
    "ExportSettings",
    "FixResult",
    "FixSettings",
    "Metric",
    "OffsetSpan",
    "PairsSettings",
    "PreprocessSettings",
    "RepairPlan",
    "RepairReport",
    "SyncToolError",
    "TrainSettings",
    "Trial",
    "Verification",
    "VerifySettings",
    "__version__",
    "adapt",
    "compare",
    "detect",
    "detect_many",
    "download",
    "explain",
    "export",
    "fix",
    "hookimpl",
    "load_model",
    "pairs",
    "preprocess",
    "repair",
    "train",
    "verify",
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
