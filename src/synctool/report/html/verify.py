"""The page of ``verify``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from synctool._version import __version__
from synctool.measure.verify import Verification
from synctool.report.charts.authenticity import authenticity_chart
from synctool.report.charts.description import Chart
from synctool.report.html.page import embedded_json, render
from synctool.report.html.shots import drawn, shots
from synctool.report.json_out import to_json_line
from synctool.report.outcome import Failure
from synctool.report.tables import Table
from synctool.report.text import clock, counted, printable
from synctool.report.verification import (
    NO_PROOF,
    WORDS,
    figures,
    signs_table,
    spans_table,
    summary_table,
)
from synctool.report.wording import capital, facts
from synctool.types import VIDEO_FPS

_COLOURS = {
    "natural": "in-sync",
    "offset": "detectable",
    "dubbed": "unacceptable",
    "reanimated": "unacceptable",
    "cannot tell": "inconclusive",
}


@dataclass(frozen=True)
class VerifySection:
    """One video that was verified."""

    id: str
    name: str
    verdict: str
    colour: str
    finding: str
    reasons: Sequence[str]
    figures: Sequence[tuple[str, str, str]]
    chart: Chart
    shots: Sequence[tuple[Markup, str]]
    tables: Sequence[Table]
    facts: Sequence[tuple[str, str]]
    json: Markup


def verify_page(outcomes: Sequence[Verification | Failure], *, command: str) -> str:
    """The page of one video or of several.

    Args:
        outcomes: Results and failures, at least one.
        command: The command that made them.
    """
    sections = [
        _section(number, outcome)
        for number, outcome in enumerate(outcomes, 1)
        if not isinstance(outcome, Failure)
    ]
    single = len(outcomes) == 1 and bool(sections)
    return render(
        "verify.html.j2",
        title=sections[0].name if single else counted(len(outcomes), "video"),
        single=single,
        sections=sections,
        summary=None if single else summary_table(outcomes, _anchor),
        no_proof=NO_PROOF,
        command=printable(command),
        version=__version__,
    )


def _section(number: int, outcome: Verification) -> VerifySection:
    found = outcome.authenticity
    tables = [spans_table(found.spans, f"spans-{number}")] if found.spans else []
    if found.signs:
        tables.append(signs_table(found, f"signs-{number}"))
    return VerifySection(
        id=_anchor(number),
        name=printable(outcome.input),
        verdict=found.verdict,
        colour=_COLOURS[found.verdict],
        finding=capital(WORDS[found.verdict]),
        reasons=[printable(reason) for reason in found.reasons],
        figures=figures(found),
        chart=authenticity_chart(outcome),
        shots=[
            (drawn(shot), clock(shot.frame_index / VIDEO_FPS)) for shot in shots(outcome.thumbnails)
        ],
        tables=tables,
        facts=[(capital(name), printable(value)) for name, value in facts(outcome.result)],
        json=embedded_json(to_json_line(outcome)),
    )


def _anchor(number: int) -> str:
    return f"video-{number}"
