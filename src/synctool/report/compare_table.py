"""A comparison on a terminal: every video through every model, then what it comes to.

Colours on a terminal, plain aligned columns elsewhere. As with ``detect``, an offset that does not
carry a verdict is not shown, and names are shown as they are: nothing in them is read as markup.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.console import Console, Group, RenderableType
from rich.text import Text

from synctool.comparison.degradations import DEGRADATIONS
from synctool.evaluation.metric_specs import FAMILIES, METRICS, Metric
from synctool.report.compare_rows import (
    agrees_with_others,
    brief_names,
    model_of,
    names_of,
    plain_trials,
)
from synctool.report.metric_words import metric_interval, metric_value
from synctool.report.outcome import beside_name
from synctool.report.terminal import STYLES, standard_console, terminal_text
from synctool.report.text import clock, printable, shortened, signed
from synctool.scoring.verdict import in_words
from synctool.types import FRAME_MS, Trial

WIDTH = 100
"""Lines of figures are no longer than this; sentences may be."""
MOST_VIDEOS = 30
"""Of more videos only the first are listed."""
_MOST_GROUPS = 40
_INDENT, _GAP = "  ", "  "
_NARROWEST_NAME, _WIDEST_NAME, _WIDEST_TITLE = 16, 24, 40
_OWN_SCALE = "LSE-C and LSE-D have a scale of each model's own; syncnet's is the published one"
_HEADLINES = ("accuracy_1", "inconclusive_rate")
"""What is shown of the groups of ``--by``, where it can be measured."""


def print_compare(
    trials: Sequence[Trial],
    metrics: Sequence[Metric],
    *,
    shared_s: Mapping[str, float] | None = None,
    console: Console | None = None,
) -> None:
    """Show a comparison.

    Args:
        trials: All of them.
        metrics: Their metrics, of all and of groups.
        shared_s: Video -> seconds of what the models share: decoding, faces.
        console: One on the standard output unless given.
    """
    console = console or standard_console()
    view = compare_view(
        trials,
        metrics,
        shared_s=shared_s,
        width=min(WIDTH, console.width),
        encoding=console.encoding,
    )
    console.print(view)


def compare_view(
    trials: Sequence[Trial],
    metrics: Sequence[Metric],
    *,
    shared_s: Mapping[str, float] | None = None,
    width: int = WIDTH,
    encoding: str = "utf-8",
) -> RenderableType:
    """The videos, the metrics of all trials, and those of groups, for a console of that encoding.

    Columns that do not fit into ``width`` are left out, the last ones first.
    """
    lines = [*_videos(trials, shared_s or {}, width, encoding)]
    if len(trials) > len(names_of(trials)):  # else it would say the same again
        brief = brief_names(names_of(trials).values(), _WIDEST_NAME)
        lines += _metrics(metrics, brief, width, encoding)
        lines += _groups(metrics, brief, width, encoding)
    return Group(*lines)


# ----------------------------------------------------------------------------------- columns


@dataclass(frozen=True)
class _Row:
    """Cells in columns, or ``words`` that run over the columns after the first."""

    cells: tuple[Text, ...]
    words: Text | None = None


def _lines(head: Sequence[str], rows: Sequence[_Row | Text], *, left: int) -> Iterator[Text]:
    """A heading and rows in aligned columns; a row that is a text stands as it is.

    Args:
        head: Names of the columns.
        rows: What stands below.
        left: So many columns are aligned at the left, the others at the right.
    """
    heads = [Text(name, "dim") for name in head]
    whole = [row for row in rows if isinstance(row, _Row) and row.words is None]
    firsts = [row.cells[0] for row in rows if isinstance(row, _Row)]
    widths = [
        max(map(_width, [heads[i], *(firsts if i == 0 else (row.cells[i] for row in whole))]))
        for i in range(len(heads))
    ]
    for row in (_Row(tuple(heads)), *rows):
        if isinstance(row, Text):
            yield row
        elif row.words is not None:
            yield Text.assemble(_INDENT, _padded(row.cells[0], widths[0]), _GAP, row.words)
        else:
            cells = [
                _padded(cell, width, right=i >= left)
                for i, (cell, width) in enumerate(zip(row.cells, widths, strict=True))
            ]
            line = Text.assemble(_INDENT, Text(_GAP).join(cells))
            line.rstrip()
            line.no_wrap = True
            yield line


def _width(cell: Text) -> int:
    return cell_len(cell.plain)


def _padded(cell: Text, width: int, *, right: bool = False) -> Text:
    room = " " * (width - _width(cell))
    return Text.assemble(room, cell) if right else Text.assemble(cell, room)


def _titled(title: str) -> list[Text]:
    return [Text(), Text(title, "bold")]


# ----------------------------------------------------------------------------------- videos


def _videos(
    trials: Sequence[Trial], shared_s: Mapping[str, float], width: int, encoding: str
) -> Iterator[Text]:
    videos = plain_trials(trials)
    listed = list(videos)[:MOST_VIDEOS]
    known = any(t.truth_frames is not None for video in listed for t in videos[video])
    head = ["model", "audio", "verdict", *(["error"] if known else []), "conf", "agrees", "LSE-C"]
    head += ["LSE-D", "speed", "MiB"]
    full = names_of(trials)
    brief = brief_names(full.values(), _NARROWEST_NAME if known else _WIDEST_NAME)
    names = {model: printable(brief[name], encoding) for model, name in full.items()}
    rows: list[_Row | Text] = []
    for video in listed:
        rows.append(_heading(video, videos[video], shared_s.get(video), encoding))
        for trial in videos[video]:
            name = Text(names[model_of(trial)])
            if trial.error is not None:
                said = Text(
                    f"failed: {beside_name(printable(trial.error, encoding), video)}",
                    STYLES["failed"],
                )
                rows.append(_Row((name,), said))
                continue
            rows.append(_Row((name, *_figures(trial, videos[video], known=known))))
            if not trial.answered and trial.reason:
                why = Text(printable(f"because {trial.reason}", encoding), "dim")
                rows.append(_Row((Text(),), why))
    yield from _fitting(head, rows, width)
    if len(videos) > len(listed):
        more = len(videos) - len(listed)
        failed = sum(any(t.error for t in here) for here in videos.values())
        yield Text(f"and {more} more videos ({failed} of all failed): --csv has a row for each")


def _fitting(head: Sequence[str], rows: Sequence[_Row | Text], width: int) -> Iterator[Text]:
    """As many columns as fit, and which do not."""

    def with_columns(columns: int) -> list[Text]:
        cut = [
            _Row(row.cells[:columns], row.words) if isinstance(row, _Row) else row for row in rows
        ]
        return list(_lines(head[:columns], cut, left=3))

    columns = len(head)
    lines = with_columns(columns)
    while columns > 3 and max(_width(line) for line in lines if line.no_wrap) > width:
        columns -= 1
        lines = with_columns(columns)
    yield from lines
    if "LSE-D" in head[:columns]:
        yield Text(_OWN_SCALE, "dim")
    if head[columns:]:
        yield Text(f"in a wider window, or --csv: {', '.join(head[columns:])}", "dim")


def _heading(video: str, trials: Sequence[Trial], shared: float | None, encoding: str) -> Text:
    duration_s = max(trial.duration_s for trial in trials)
    facts = [clock(duration_s)] if duration_s > 0 else []
    truth = next((t.truth_frames for t in trials if t.truth_frames is not None), None)
    if truth is not None:
        facts.append(f"known: audio {in_words(truth * FRAME_MS)}")
    if shared:
        facts.append(f"read in {shared:.1f} s")
    about = f"  {', '.join(facts)}" if facts else ""
    return Text.assemble((printable(video, encoding), "bold"), (about, "dim"))


def _figures(trial: Trial, beside: Sequence[Trial], *, known: bool) -> tuple[Text, ...]:
    offset = trial.offset_frames if trial.answered else None
    cells = [
        Text("-" if offset is None else in_words(offset * FRAME_MS)),
        Text(trial.verdict, STYLES[trial.verdict]),
    ]
    if known:
        error = None if offset is None else trial.error_frames
        cells.append(Text("-" if error is None else f"{signed(error * FRAME_MS, 0)} ms"))
    agrees = agrees_with_others(trial, beside)
    cells += [
        Text(f"{trial.confidence:.2f}"),
        Text("-" if agrees is None else f"{100 * agrees:.0f} %"),
        Text("-" if trial.lse_c is None else f"{trial.lse_c:.2f}"),
        Text("-" if trial.lse_d is None else f"{trial.lse_d:.2f}"),
        Text(f"{trial.duration_s / trial.seconds:.3g} x" if trial.seconds > 0 else "-"),
        Text("-" if trial.memory_mb is None else f"{trial.memory_mb:.0f}"),
    ]
    return tuple(cells)


# ----------------------------------------------------------------------------------- metrics


def _metrics(
    metrics: Sequence[Metric], brief: Mapping[str, str], width: int, encoding: str
) -> Iterator[Text]:
    everything = [m for m in metrics if m.group == "all" and m.defined]
    if not everything:
        return
    found: dict[str, dict[str, Metric]] = {}
    for metric in everything:
        found.setdefault(metric.name, {})[metric.backbone] = metric
    models = list(dict.fromkeys(m.backbone for m in everything))
    copies = any(metric.group.startswith("perturbation=") for metric in metrics)
    yield from _titled(
        "All trials but those on degraded copies" if copies else "All trials together"
    )
    yield Text(_intervals(everything), "dim")
    yield from _side_by_side(
        models, brief, lambda block: _metric_rows(found, block, encoding), width, encoding
    )


def _metric_rows(
    found: Mapping[str, Mapping[str, Metric]], models: Sequence[str], encoding: str
) -> list[_Row | Text]:
    """A row a metric below the title of its family."""
    rows: list[_Row | Text] = []
    family = None
    for name, spec in METRICS.items():
        if name not in found:
            continue
        if spec.family != family:
            family = spec.family
            rows.append(Text(_INDENT + FAMILIES[family], "italic"))
        arrow = {True: " ↑", False: " ↓", None: ""}[spec.higher_is_better]
        if encoding.lower().replace("-", "") != "utf8":
            arrow = ""
        own = [found[name].get(model) for model in models]
        rows.append(_metric_row(spec.title + arrow, own))
    return rows


def _metric_row(title: str, metrics: Sequence[Metric | None]) -> _Row:
    counts = sorted({metric.count for metric in metrics if metric is not None})
    of = "-".join(f"{count}" for count in dict.fromkeys([*counts[:1], *counts[-1:]]))
    cells = [Text("-" if metric is None else figure(metric)) for metric in metrics]
    return _Row((Text(shortened(title, _WIDEST_TITLE)), *cells, Text(of, "dim")))


def figure(metric: Metric) -> str:
    """A value with its unit and its interval: ``87.3 % [80.1, 93.4]``."""
    interval = metric_interval(metric).replace(" to ", ", ")
    value = metric_value(metric) + (f" [{interval}]" if interval else "")
    return terminal_text(value, "utf-8")


def _intervals(metrics: Iterable[Metric]) -> str:
    """What was drawn for the intervals, in a sentence."""
    drawn = {(m.drawn, m.units) for m in metrics if m.drawn}
    if not drawn:
        return "no intervals"
    if len(drawn) == 1:
        ((kind, units),) = drawn
        return f"in brackets: 95% intervals, by drawing from {units} {kind}"
    kinds = " or ".join(sorted({kind for kind, _ in drawn}, reverse=True))
    return f"in brackets: 95% intervals, by drawing {kinds}; --metrics-csv says which"


def _groups(
    metrics: Sequence[Metric], brief: Mapping[str, str], width: int, encoding: str
) -> Iterator[Text]:
    """For each kind of group the headline metrics: a row a group, a column a model."""
    kinds = dict.fromkeys(m.group.partition("=")[0] for m in metrics if m.group != "all")
    for kind in kinds:
        for name in _HEADLINES:
            groups: dict[str, dict[str, Metric]] = {}
            for metric in metrics:
                own, _, value = metric.group.partition("=")
                if (own, metric.name) == (kind, name) and metric.defined:
                    groups.setdefault(value, {})[metric.backbone] = metric
            if groups:
                yield from _titled(f"{METRICS[name].title}, by {kind}")
                yield from _group_rows(groups, brief, width, encoding)


def _group_rows(
    groups: Mapping[str, Mapping[str, Metric]],
    brief: Mapping[str, str],
    width: int,
    encoding: str,
) -> Iterator[Text]:
    models = list(dict.fromkeys(model for own in groups.values() for model in own))
    shown = list(groups.items())[:_MOST_GROUPS]

    def rows(block: Sequence[str]) -> list[_Row | Text]:
        return [
            _metric_row(
                printable(_group_title(value), encoding), [own.get(model) for model in block]
            )
            for value, own in shown
        ]

    yield from _side_by_side(models, brief, rows, width, encoding)
    if len(groups) > _MOST_GROUPS:
        yield Text(f"and {len(groups) - _MOST_GROUPS} more: --metrics-csv has them all")


def _group_title(value: str) -> str:
    """``noise level=3`` with what that step is: ``noise 3 (5 dB)``."""
    name, _, level = value.partition(" level=")
    spec = DEGRADATIONS.get(name)
    if not level:
        return value
    if spec is None:
        return "as it is" if level == "0" else f"{name} {level}"
    return f"{name} {level} ({spec.levels[int(level) - 1]:g} {spec.unit}".rstrip() + ")"


def _side_by_side(
    models: Sequence[str],
    brief: Mapping[str, str],
    rows: Callable[[Sequence[str]], list[_Row | Text]],
    width: int,
    encoding: str,
) -> list[Text]:
    """A column a model, as many beside one another as fit, the others below."""

    def with_models(at_once: int) -> Iterator[Text]:
        for start in range(0, len(models), at_once):
            block = models[start : start + at_once]
            names = [printable(brief.get(model, model), encoding) for model in block]
            yield from _lines(["", *names, "of"], rows(block), left=1)

    at_once = len(models)
    found = list(with_models(at_once))
    while at_once > 1 and max(map(_width, found)) > width:
        at_once -= 1
        found = list(with_models(at_once))
    return found
