"""Repairs on a terminal: what was wrong, what was done, and what is left."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Console, Group, RenderableType
from rich.text import Text

from synctool.repairing.fix import FixResult
from synctool.repairing.plan import RepairPlan
from synctool.report.outcome import Failure
from synctool.report.tables import Cell, Column, Table, name_cell, verdict_cell, words_cell
from synctool.report.terminal import facts_grid, standard_console, table_view, tally, terminal_text
from synctool.report.text import NOTHING, printable
from synctool.scoring.verdict import in_words, worst_ms
from synctool.types import DetectResult

FixOutcome = FixResult | Failure

_METHODS = {
    "edit list": "the edit list of the audio; every packet is what it was",
    "timestamps": "the timestamps of the audio; its packets are copied",
    "packets": "packets of the audio left out or filled with silence; the others are copied",
    "new audio": "the audio is encoded again; all other streams are copied",
}


def print_repair(result: FixResult, *, console: Console | None = None) -> None:
    """Show all about one repair; ``console`` is one on the standard output unless given."""
    console = console or standard_console()
    console.print(repair_view(result, console.encoding))


def print_repairs(outcomes: Sequence[FixOutcome], *, console: Console | None = None) -> None:
    """Show several repairs, one row each; ``console`` is one on the standard output unless given."""
    console = console or standard_console()
    console.print(table_view(repairs_table(outcomes), console.encoding))
    console.print(tally("failed" if isinstance(o, Failure) else o.action for o in outcomes))


def repair_view(result: FixResult, encoding: str = "utf-8") -> RenderableType:
    """The sentence and the figures of one repair."""
    style = "bold green" if result.exit_code == 0 else "bold yellow"
    heading = Text.assemble(
        (printable(result.input, encoding), "bold"),
        ": ",
        (terminal_text(sentence(result), encoding), style),
    )
    return Group(heading, facts_grid(_facts(result), encoding))


def sentence(result: FixResult) -> str:
    """What became of a video, in one line without a full stop."""
    if result.action == "unchanged" and result.before is not None:
        return (
            f"in sync within {result.tolerance_ms:g} ms ({_measured(result.before)}); nothing is written, "
            "--force repairs it all the same"
        )
    assert result.plan is not None
    if result.action == "planned":
        how = (
            "with its audio encoded again" if result.plan.offset_ms is None else "without encoding"
        )
        return f"{in_plan(result.plan)}; would be repaired {how}, to {result.output}"
    done = f"{in_plan(result.plan)}; repaired, written to {result.output}"
    if result.exit_code:
        return f"{done}, and not in sync yet"
    return done


def in_plan(plan: RepairPlan) -> str:
    """What a plan says is wrong."""
    first = plan.spans[0]
    if len(plan.spans) > 1:
        return ", ".join(
            f"audio {in_words(s.offset_ms)} from {s.start_s:.1f} s" for s in plan.spans
        )
    drift = (
        f", drifting by {first.drift_ms_per_min:+.0f} ms per minute"
        if first.drift_ms_per_min
        else ""
    )
    return f"audio {in_words(first.offset_ms)}{drift}"


def repairs_table(outcomes: Sequence[FixOutcome]) -> Table:
    """Several repairs: name, result, audio before and after, remark."""
    titles = ("Video", "Result", "Before", "After", "Remark")
    rows = [[name_cell(outcome.input), *_cells(outcome)] for outcome in outcomes]
    return Table("repairs", "Repairs", [Column(title) for title in titles], rows)


def _cells(outcome: FixOutcome) -> list[Cell]:
    if isinstance(outcome, Failure):
        none = words_cell(NOTHING)
        return [verdict_cell("failed"), none, none, words_cell(outcome.remark)]
    plan, report = outcome.plan, outcome.report
    if outcome.before is not None:
        before = _worst(outcome.before)
    else:
        before = (
            in_words(plan.offset_ms) if plan is not None and plan.offset_ms is not None else NOTHING
        )
    after = _worst(outcome.after) if outcome.after is not None else NOTHING
    where = outcome.output or f"within {outcome.tolerance_ms:g} ms, nothing is written"
    remark = [where, *(report.notes if report is not None else ())]
    return [
        words_cell(outcome.action),
        words_cell(before),
        words_cell(after),
        words_cell("; ".join(remark)),
    ]


def _worst(result: DetectResult) -> str:
    if result.offset_ms is None:
        return "inconclusive"
    worst = worst_ms(result)
    more = f" (up to {worst} ms)" if worst > abs(result.offset_ms) else ""
    return f"{in_words(result.offset_ms)}{more}"


def _facts(result: FixResult) -> Iterator[tuple[str, str]]:
    if result.before is not None and result.action != "unchanged":
        yield "before", _measured(result.before)
    if result.after is not None:
        yield "after", _measured(result.after)
    report = result.report
    if report is None:
        return
    if result.after is None:
        yield "after", "not measured"
    yield "changed", _METHODS[report.method]
    numbers = ", ".join(map(str, report.tracks))
    yield "moved", f"audio track{'s' if len(report.tracks) > 1 else ''} {numbers}"
    for note in report.notes:
        yield "note", note


def _measured(result: DetectResult) -> str:
    if result.offset_ms is None:
        return f"inconclusive: {result.reason or 'no confident offset'}"
    drift = result.drift_ms_per_min
    more = f", drift {drift:+.0f} ms per minute" if drift and round(drift) else ""
    return f"audio {_worst(result)}{more}, confidence {result.confidence:.2f}"
