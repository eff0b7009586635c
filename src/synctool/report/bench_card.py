"""Score cards of the bench as tables, for the terminal and for pages."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from rich.console import Console, Group, RenderableType
from rich.text import Text

from synctool.bench.card import Card
from synctool.bench.comparing import ComparedCards, ComparedMetric
from synctool.bench.items import PARTS
from synctool.bench.metrics import BENCH_METRICS, SCORE
from synctool.evaluation.bootstrap import Interval
from synctool.evaluation.metric_specs import CONTEXTS, Metric
from synctool.report.tables import UNKNOWN, Cell, Column, Table, number_cell, words_cell
from synctool.report.terminal import standard_console, table_view, terminal_text
from synctool.report.text import counted, plain, shortened
from synctool.report.wording import capital

MADE_UP = (
    "Drawn faces and synthesized voices but for the part dataset: how well they are read says little about "
    "real ones."
)
_SHOWN = (
    *("right", "answered", "wrong_answers", "failed"),
    *("mean_error_ms", "bias_ms", "drift_error"),
)
_BRIEF = (
    *(SCORE, "right", "wrong_answers", "false_answers", "mean_error_ms", "bias_ms"),
    *("windows@5", "windows@15", "real_time", "decode_ratio"),
)
_DIGITS = {"ms": 1, "ms/min": 0, "s/s": 1, "": 1}
_LONGEST = 60


def figure(metric: Metric | None) -> str:
    """``92 % (86 to 97)``, or a number with its unit."""
    if metric is None:
        return UNKNOWN.text
    unit = BENCH_METRICS[metric.name].unit
    values = (metric.value, metric.low, metric.high)
    sign = metric.name == "bias_ms"
    if unit == "share":
        value, low, high = (plain(100 * v, 0) if v == v else "" for v in values)
        value += " %"
    else:
        value, low, high = (plain(v, _DIGITS[unit], sign=sign) if v == v else "" for v in values)
    return f"{value} ({low} to {high})" if low and high else value


def parts_table(card: Card) -> Table:
    """A row for each part, a column for each metric."""
    return _table(card, _parts(card), "parts", "Parts")


def brief_table(card: Card, groups: Sequence[str]) -> Table:
    """The same for a terminal: an interval for what is right alone, wrong and false answers in one column."""
    columns = [Column("Part"), Column("Videos", True), Column("Right", True)]
    columns += [
        Column(title, True) for title in ("Answered", "Wrong", "Failed", "Error, ms", "Bias, ms")
    ]
    rows = []
    for group in groups:
        right = card.metric("right", group)
        wrong, answered = (
            card.metric(name, group) or _instead(card, name, group)
            for name in ("wrong_answers", "answered")
        )
        more = (card.metric(n, group) for n in ("failed", "mean_error_ms", "bias_ms"))
        rows.append(
            [
                Cell(group.partition("/")[2] or group),
                Cell(str(right.count if right else 0), kind="number"),
                _cell(right),
                *(_cell(m, brief=True) for m in (answered, wrong, *more)),
            ]
        )
    return Table("brief", "Parts", columns, rows)


def groups_table(card: Card, part: str) -> Table | None:
    """The groups of a part; None where there are none."""
    groups = _groups(card, part)
    return (
        _table(card, list(groups), f"part-{part}", f"{capital(part)}: {PARTS[part]}")
        if groups
        else None
    )


def windows_table(card: Card, *, brief: bool = False) -> Table | None:
    """Short windows by part and length, without intervals where ``brief``; None where none were measured."""
    names = [f"windows@{n}" for n in CONTEXTS]
    groups = dict.fromkeys(m.group for m in card.metrics if m.name in names and "/" not in m.group)
    if not groups:
        return None
    columns = [Column("Part"), *(Column(f"{n} frames", True) for n in CONTEXTS)]
    rows = [
        [Cell(g), *(_cell(card.metric(name, g), brief=brief) for name in names)] for g in groups
    ]
    return Table("windows", "Windows within one frame, of 31 candidates", columns, rows)


def speed_line(card: Card) -> str:
    """Speed, and the ratio to decoding; "" where it was not measured."""
    speed, ratio = card.metric("real_time", "speed"), card.metric("decode_ratio", "speed")
    if speed is None:
        return ""
    said = f"{plain(speed.value, 1)} times real time"
    if ratio is not None:
        said += f", {plain(ratio.value, 1)} times the time of decoding"
    return said


def facts(card: Card) -> list[tuple[str, str]]:
    """What was tested, by what, where."""
    subject = card.subject
    told = [
        (k.replace("_", " "), str(v)) for k, v in subject.items() if k != "name" and v is not None
    ]
    machine = " ".join(
        str(card.machine[k]) for k in ("system", "architecture") if card.machine.get(k)
    )
    cores = card.machine.get("cores")
    inputs = [(f"inputs of {p.name}", f"{counted(p.items, 'item')}, {p.hash}") for p in card.inputs]
    return [
        ("bench", card.bench + (", quick" if card.quick else "")),
        *told,
        ("synctool", card.synctool),
        ("machine", machine + (f", {counted(cores, 'core')}" if isinstance(cores, int) else "")),
        *inputs,
    ]


def failures_table(card: Card) -> Table | None:
    """Reasons of failures; None where nothing failed."""
    if not card.failures:
        return None
    columns = [Column("Failures", True), Column("Reason")]
    rows = [
        [Cell(str(count), sort=count, kind="number"), words_cell(reason)]
        for reason, count in card.failures.items()
    ]
    return Table("failures", "Failures", columns, rows)


def wrong_table(card: Card) -> Table | None:
    """Every video that was not dealt with rightly; None where there is none."""
    columns = [Column("Video"), Column("Truth, ms", True), Column("Answer, ms", True)]
    columns += [Column("Confidence", True), Column("Why")]
    rows = [
        [
            Cell(f"{a.id} {a.group}".strip(), kind="name"),
            number_cell(a.truth_ms, 1, sign=True),
            number_cell(a.offset_ms, 1, sign=True),
            number_cell(a.confidence, 2),
            words_cell(a.error or a.reason or ""),
        ]
        for a in card.answers
        if not a.right and a.part != "speed"
    ]
    return Table("wrong", "Wrong, without an answer, or failed", columns, rows) if rows else None


def definitions_table(names: Sequence[str]) -> Table:
    """What the metrics are."""
    columns = [Column("Metric"), Column("Definition"), Column("Source")]
    rows = [
        [Cell(capital(spec.title)), words_cell(spec.definition), words_cell(spec.source)]
        for name, spec in BENCH_METRICS.items()
        if name in names
    ]
    return Table("definitions", "Definitions", columns, rows, sortable=False)


def compared_table(cards: ComparedCards, *, brief: bool = False) -> Table:
    """A row for each metric of each group, a column for each card; ``brief`` keeps few of them."""
    columns = [
        Column("Part"),
        Column("Metric"),
        Column(shortened(cards.first.name, _LONGEST), True),
        Column(shortened(cards.second.name, _LONGEST), True),
        Column("Difference", True),
    ]
    rows = [
        [
            Cell(m.group),
            Cell(_title(m.name)),
            _cell(m.first),
            _cell(m.second),
            _difference(m.difference),
        ]
        for m in cards.metrics
        if not brief or ("/" not in m.group and _is_brief(m))
    ]
    return Table("compared", "Two cards", columns, rows)


def print_card(card: Card, *, console: Console | None = None) -> None:
    """Show a card; ``console`` is one on the standard output unless given."""
    console = console or standard_console()
    encoding = console.encoding
    score = card.metric(SCORE)
    heading = Text.assemble(
        (terminal_text(f"{card.bench}{', quick' if card.quick else ''}: ", encoding), ""),
        (terminal_text(shortened(card.name, _LONGEST), encoding), "bold"),
        f"  score {terminal_text(figure(score), encoding)}" if score else "",
    )
    shown: list[RenderableType] = [heading]
    tables = [brief_table(card, _parts(card)), brief_table(card, _groups(card, "degraded"))]
    windows = windows_table(card, brief=True)
    for table in (*tables, windows, failures_table(card)):
        if table is not None and table.rows:
            shown += [Text(), table_view(table, encoding)]
    if speed := speed_line(card):
        shown += [Text(), Text(terminal_text(f"Speed: {speed}", encoding))]
    console.print(Group(*shown, Text(), Text(MADE_UP, style="dim")))


def print_compared(cards: ComparedCards, *, console: Console | None = None) -> None:
    """Show two cards; ``console`` is one on the standard output unless given."""
    console = console or standard_console()
    encoding = console.encoding
    table = table_view(compared_table(cards, brief=True), encoding)
    remarks = [Text(terminal_text(remark, encoding), style="dim") for remark in cards.remarks]
    console.print(Group(Text(cards.first.bench, style="bold"), Text(), table, Text(), *remarks))


def _table(card: Card, groups: Sequence[str], anchor: str, caption: str) -> Table:
    columns = [Column("Part"), Column("Videos", True)]
    columns += [Column(_title(n), True, hint=BENCH_METRICS[n].definition) for n in _SHOWN]
    rows = []
    for group in groups:
        right = card.metric("right", group)
        count = right.count if right else 0
        cells = [_cell(card.metric(name, group) or _instead(card, name, group)) for name in _SHOWN]
        rows.append(
            [
                Cell(group.partition("/")[2] or group),
                Cell(str(count), sort=count, kind="number"),
                *cells,
            ]
        )
    return Table(anchor, caption, columns, rows).trimmed()


def _cell(metric: Metric | None, *, brief: bool = False) -> Cell:
    if metric is None:
        return UNKNOWN
    shown = replace(metric, low=math.nan, high=math.nan) if brief else metric
    return Cell(figure(shown), sort=metric.value, kind="number")


def _instead(card: Card, name: str, group: str) -> Metric | None:
    """Where no offset is right, every answer is a wrong one."""
    return card.metric("false_answers", group) if name in ("answered", "wrong_answers") else None


def _parts(card: Card) -> list[str]:
    groups = dict.fromkeys(m.group for m in card.metrics)
    return [g for g in groups if "/" not in g and g not in ("all", "speed")]


def _groups(card: Card, part: str) -> list[str]:
    groups = dict.fromkeys(m.group for m in card.metrics)
    return [group for group in groups if group.startswith(f"{part}/")]


def _is_brief(m: ComparedMetric) -> bool:
    """Whether a terminal shows it; failures only where there are some."""
    if m.name == "failed":
        return any(metric is not None and metric.value > 0 for metric in (m.first, m.second))
    return m.name in _BRIEF


def _title(name: str) -> str:
    spec = BENCH_METRICS[name]
    unit = "" if spec.unit in ("share", "") else f", {spec.unit}"
    return f"{capital(spec.title)}{unit}"


def _difference(found: Interval | None) -> Cell:
    if found is None:
        return UNKNOWN
    value, low, high = (
        plain(100 * v, 0, sign=True) if v == v else "" for v in (found.value, found.low, found.high)
    )
    return Cell(
        f"{value} ({low} to {high})" if low and high else value, sort=found.value, kind="number"
    )
