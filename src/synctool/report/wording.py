"""What is said of results, once, for terminal, pages and plots."""

from __future__ import annotations

from synctool.report.text import printable
from synctool.scoring.verdict import in_words
from synctool.types import FRAME_MS, Trial


def trial_finding(trial: Trial) -> str:
    """What one model found in a video, in a line."""
    if trial.error is not None:
        return printable(trial.error)
    if trial.answered and trial.offset_frames is not None:
        words = in_words(trial.offset_frames * FRAME_MS)
        return f"audio {words}, confidence {trial.confidence:.2f}, {trial.verdict}"
    return f"inconclusive: {printable(trial.reason or 'the evidence does not carry an answer')}"
