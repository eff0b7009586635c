"""``fix``: a video measured, repaired, and measured again."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from synctool._version import __version__
from synctool.errors import EXIT_INCONCLUSIVE, EXIT_OK, EXIT_OUT_OF_TOLERANCE
from synctool.measure.detect import Detector
from synctool.repairing.plan import RepairPlan, plan_repair
from synctool.repairing.run import RepairReport, check_target, repair
from synctool.scoring.verdict import worst_ms
from synctool.settings.fix import FixSettings
from synctool.types import DetectResult

FIX_SCHEMA = "synctool.fix/1"

Action = Literal["repaired", "planned", "unchanged"]
Measure = Callable[[str], DetectResult]


@dataclass(frozen=True)
class FixResult:
    """What became of one video.

    Attributes:
        input: The video.
        output: The repaired file; None where none was written.
        action: ``repaired``; ``planned`` with ``dry_run``; ``unchanged`` where the offset is inside the
            tolerance.
        plan: What is wrong with it; None where it is unchanged.
        report: How it was repaired.
        before: The measurement of the video, None for an offset given by hand.
        after: The measurement of the repaired file, None where there was none.
        tolerance_ms: Offsets up to this are left alone.
    """

    input: str
    output: str | None
    action: Action
    plan: RepairPlan | None
    report: RepairReport | None
    before: DetectResult | None
    after: DetectResult | None
    tolerance_ms: float

    @property
    def residual_ms(self) -> int | None:
        """The offset of the repaired file; None where it is not known."""
        return None if self.after is None else self.after.offset_ms

    @property
    def exit_code(self) -> int:
        """0; 3 where the repaired file carries no answer though the video did; 4 where it is off."""
        if self.after is None:
            return EXIT_OK
        if self.after.offset_ms is None:
            return EXIT_OK if self.before is None else EXIT_INCONCLUSIVE
        return EXIT_OK if worst_ms(self.after) <= self.tolerance_ms else EXIT_OUT_OF_TOLERANCE

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON, keys as in the documented schema."""
        plan, report = self.plan, self.report
        return {
            "schema": FIX_SCHEMA,
            "input": self.input,
            "output": self.output,
            "action": self.action,
            "synctool": __version__,
            "offset_ms": None if plan is None else plan.offset_ms,
            "spans": [vars(span) for span in plan.spans] if plan is not None else [],
            "method": report.method if report is not None else None,
            "reencoded": report.reencoded if report is not None else False,
            "audio_tracks": list(report.tracks) if report is not None else [],
            "notes": list(report.notes) if report is not None else [],
            "tolerance_ms": self.tolerance_ms,
            "residual_ms": self.residual_ms,
            "before": _summary(self.before),
            "after": _summary(self.after),
            "exit_code": self.exit_code,
        }


def fix(
    path: str | os.PathLike[str],
    out: str | os.PathLike[str],
    settings: FixSettings | None = None,
    *,
    measure: Measure | None = None,
    before: DetectResult | None = None,
    offset_ms: float | None = None,
    force: bool = False,
    dry_run: bool = False,
    verify: bool = True,
    overwrite: bool = False,
    on_progress: Callable[[float], None] | None = None,
    **changes: Any,
) -> FixResult:
    """Measure a video, repair it, and measure the repaired file.

    Args:
        path: The video.
        out: The new file; its ending chooses the container.
        settings: How to measure, and what to move; None for the defaults.
        measure: Measures a video, in place of a detector with these settings.
        before: What was measured of the video with these settings; it is not measured again then.
        offset_ms: The offset by hand, > 0 for audio ahead; the video is not measured then.
        force: Whether to repair a video that is inside the tolerance, too.
        dry_run: Whether to say only what would be done.
        verify: Whether to measure the repaired file.
        overwrite: Whether a file that is there may be replaced.
        on_progress: Told the share of the repair that is done, 0..1.
        changes: Settings by name that differ from ``settings``: see ``FixSettings``.

    Raises:
        InconclusiveError: The offset is not known.
        SyncToolError: See ``repair``.

    Example:
        >>> done = synctool.fix("talk.mp4", "fixed.mp4")  # doctest: +SKIP
        >>> done.before.offset_ms, done.residual_ms  # doctest: +SKIP
        (121, 1)
    """
    name = os.fspath(path)
    check_target(path, out, overwrite=overwrite)
    chosen = FixSettings.of(settings, changes)
    tolerance_ms, audio_track = chosen.tolerance, chosen.audio_track
    measure = measure or default_measure(chosen)
    if before is None and offset_ms is None:
        before = measure(name)
    if before is not None:
        plan = plan_repair(before, audio_track=audio_track)
        if worst_ms(before) <= tolerance_ms and plan.offset_ms is not None and not force:
            return FixResult(name, None, "unchanged", None, None, before, None, tolerance_ms)
    else:
        plan = RepairPlan.constant(offset_ms or 0.0, audio_track=audio_track)
    if dry_run:
        return FixResult(name, os.fspath(out), "planned", plan, None, before, None, tolerance_ms)
    report = repair(
        path,
        out,
        plan,
        overwrite=overwrite,
        allow_external=chosen.allow_external,
        on_progress=on_progress,
    )
    after = measure(os.fspath(out)) if verify else None
    return FixResult(name, report.output, "repaired", plan, report, before, after, tolerance_ms)


def default_measure(settings: FixSettings | None = None) -> Measure:
    """Measures with the model of some settings, which is loaded when it is first asked for."""

    @cache
    def detector() -> Detector:
        return Detector((settings or FixSettings()).measuring)

    return lambda path: detector().detect(path)


def _summary(result: DetectResult | None) -> dict[str, Any] | None:
    if result is None:
        return None
    return {
        "offset_ms": result.offset_ms,
        "offset_frames": None if result.offset_frames is None else round(result.offset_frames, 3),
        "audio_is": result.audio_is,
        "confidence": round(result.confidence, 4),
        "verdict": result.verdict,
        "reason": result.reason,
        "drift_ms_per_min": result.drift_ms_per_min,
        "drift_interval_ms_per_min": result.drift_interval_ms_per_min,
        "segments": [s.to_dict() for s in result.segments],
    }
