"""The page of ``adapt``: before and after."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from os.path import basename, normpath

from markupsafe import Markup

from synctool._version import __version__
from synctool.adapting.adaptation import Adaptation, StageResult
from synctool.adapting.gains import ALL_LENGTHS, NAMES
from synctool.evaluation.bootstrap import Interval
from synctool.report.adaptation import (
    SET_WORDS,
    STAGE_WORDS,
    USEFUL,
    WORDS,
    facts,
    figure_notes,
    finding,
    interval_words,
    stages_table,
)
from synctool.report.charts.description import Axis, models_key
from synctool.report.charts.svg import interval_cell
from synctool.report.html.page import embedded_json, render
from synctool.report.json_out import to_json_line
from synctool.report.text import known, printable
from synctool.report.wording import capital

_SHARES, _USEFUL = Axis(0.0, 1.0), Axis(-1.0, 1.0)
_BEFORE, _AFTER = 0, 1


@dataclass(frozen=True)
class FigureRow:
    """One figure: its title; before, after and change as value and interval; a drawing of the first two."""

    title: str
    cells: Sequence[tuple[str, str]]
    drawing: Markup


@dataclass(frozen=True)
class StageSection:
    """Figures of one stage: by set, then by length."""

    id: str
    title: str
    accepted: bool
    reason: str
    groups: Sequence[tuple[str, Sequence[FigureRow]]]


def adapt_page(found: Adaptation, *, command: str) -> str:
    """The page.

    Args:
        found: What was found.
        command: The command that made it.
    """
    shown = found.shown
    return render(
        "adapt.html.j2",
        title=printable(basename(normpath(found.folder)) or found.folder),
        colour="in-sync" if found.refused is None else "inconclusive",
        verdict="adapted" if found.refused is None else "not adapted",
        finding=capital(printable(finding(found))),
        figures=figure_notes(shown) if shown else [],
        shown=_shown(shown),
        keys=models_key(["before", "after"]),
        stages=stages_table(found) if found.stages else None,
        sections=[_section(stage) for stage in found.stages if stage.figures],
        useful=USEFUL,
        facts=[(capital(name), printable(value)) for name, value in facts(found)],
        json=embedded_json(to_json_line(found)),
        command=printable(command),
        version=__version__,
    )


def _shown(stage: StageResult | None) -> str:
    if stage is None:
        return ""
    taken = "accepted" if stage.accepted else "tried, not accepted"
    return f"Held-out videos, before and after the {STAGE_WORDS[stage.name]} ({taken})."


def _section(stage: StageResult) -> StageSection:
    groups = [
        (f"{words}, {_length(length)}", rows)
        for set_name, words in SET_WORDS.items()
        for length in sorted({figure.length_s for figure in stage.figures})
        if (rows := list(_rows(stage, set_name, length)))
    ]
    return StageSection(
        id=stage.name,
        title=capital(STAGE_WORDS[stage.name]),
        accepted=stage.accepted,
        reason=printable(stage.reason),
        groups=groups,
    )


def _length(length_s: int) -> str:
    return "all segments" if length_s == ALL_LENGTHS else f"segments of {length_s} s"


def _rows(stage: StageResult, set_name: str, length_s: int) -> Iterator[FigureRow]:
    for name in NAMES:
        figure = stage.figure(set_name, name, length_s)
        if figure is None or not known(figure.before.value):
            continue
        values = [
            (x.value, x.low, x.high, number)
            for x, number in ((figure.before, _BEFORE), (figure.after, _AFTER))
        ]
        axis = _USEFUL if name == "useful" else _SHARES
        yield FigureRow(
            capital(WORDS[name]),
            [_cell(figure.before), _cell(figure.after), _cell(figure.change, sign=True)],
            interval_cell(values, axis, WORDS[name]),
        )


def _cell(interval: Interval, *, sign: bool = False) -> tuple[str, str]:
    words = interval_words(interval, sign=sign)
    value, _, ends = words.partition(" (")
    return value, ends.removesuffix(")")
