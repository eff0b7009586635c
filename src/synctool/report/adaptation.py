"""What ``adapt`` found, in words and tables."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console, Group, RenderableType
from rich.text import Text

from synctool.adapting.adaptation import Adaptation, StageResult
from synctool.adapting.gains import ALL_LENGTHS, NAMES, Figure
from synctool.evaluation.bootstrap import Interval
from synctool.report.tables import Cell, Column, Table, words_cell
from synctool.report.terminal import facts_grid, standard_console, table_view, terminal_text
from synctool.report.text import NOTHING, known, plain, printable

WORDS = {
    "right": "best match right within a frame",
    "answered": "answered",
    "wrong": "answered, and wrong",
    "foreign": "other videos' audio answered",
    "useful": "useful answers",
}
"""What the figures are, all as shares of segments."""
STAGE_WORDS = {
    "calibration": "calibration of the confidence",
    "normalization": "statistics of batch normalisation",
    "training": "training of the last layers and the head",
}
SET_WORDS = {"domain": "Held-out videos of the folder", "general": "General set"}
USEFUL = (
    "Useful answers: the share answered rightly, less the share answered wrongly, less the share of other "
    "videos' audio that is answered. Right is what agrees with the rest of the video, or with the videos "
    "that share its offset, after the audio was moved by a known amount: nobody labelled anything."
)
_DIGITS = 3


def interval_words(interval: Interval, *, sign: bool = False) -> str:
    """``0.93 (0.88 to 0.97)``."""
    if not known(interval.value):
        return NOTHING
    value = plain(interval.value, _DIGITS, sign=sign)
    if not known(interval.low):
        return value
    low, high = (plain(end, _DIGITS, sign=sign) for end in (interval.low, interval.high))
    return f"{value} ({low} to {high})"


def finding(found: Adaptation) -> str:
    """The result in a sentence."""
    if found.refused is not None:
        return f"not adapted: {found.refused}"
    names = ", ".join(stage.name for stage in found.accepted)
    shown = found.shown
    gain = shown and shown.figure("domain", "useful")
    words = f"; useful answers {interval_words(gain.change, sign=True)}" if gain else ""
    return f"adapted by {names}{words}"


def facts(found: Adaptation) -> list[tuple[str, str]]:
    """Names and values of what the figures rest on."""
    parts = {"learn": "to learn from", "calibrate": "for confidences", "test": "held out"}
    clips = ", ".join(
        f"{found.clips[part]} {words} ({found.units[part]} people or videos)"
        for part, words in parts.items()
        if part in found.clips
    )
    value, low, high = (plain(x, 2) if known(x) else NOTHING for x in found.belonging)
    return [
        ("model", f"{found.backbone}, {found.weights}"),
        ("clips", f"{clips}; {found.seconds / 60:.1f} min of faces"),
        ("sure of", f"{100 * found.labelled:.0f} % of the clips to learn from"),
        (
            "audio of its own",
            f"agrees {value} ({low} to {high}) more often than other videos' audio",
        ),
        ("general set", f"{found.general}; at most {found.margin:g} may be lost"),
        ("seed", str(found.seed)),
    ]


def stages_table(found: Adaptation) -> Table:
    """What was tried."""
    columns = [Column("Stage"), Column("Accepted"), Column("Why")]
    rows = [
        [
            Cell(STAGE_WORDS.get(stage.name, stage.name)),
            Cell("yes" if stage.accepted else "no"),
            words_cell(stage.reason),
        ]
        for stage in found.stages
    ]
    return Table("stages", "Stages", columns, rows, sortable=False)


def figures_table(stage: StageResult, set_name: str, *, by_length: bool = False) -> Table:
    """Before and after of one set.

    Args:
        stage: Whose figures.
        set_name: ``domain`` or ``general``.
        by_length: Whether by the length of the segments, too.
    """
    columns = [Column("Share of segments"), Column("Length", True)]
    columns += [Column(name, True) for name in ("Before", "After", "Change")]
    rows = [
        [
            Cell(WORDS[figure.name]),
            Cell("all" if figure.length_s == ALL_LENGTHS else f"{figure.length_s} s"),
            _cell(figure.before),
            _cell(figure.after),
            _cell(figure.change, sign=True),
        ]
        for figure in _ordered(stage.figures, set_name)
        if (by_length or figure.length_s == ALL_LENGTHS) and known(figure.before.value)
    ]
    words = SET_WORDS[set_name]
    return Table(f"{stage.name}-{set_name}", words, columns, rows, sortable=False)


def adaptation_view(found: Adaptation, encoding: str = "utf-8") -> RenderableType:
    """The sentence, the stages and the figures, for any console of that encoding."""
    style = "bold green" if found.refused is None else "bold yellow"
    heading = Text.assemble(
        (printable(found.folder, encoding), "bold"),
        ": ",
        (terminal_text(finding(found), encoding), style),
    )
    parts: list[RenderableType] = [heading, facts_grid(facts(found), encoding)]
    if found.stages:
        parts += [Text(), table_view(stages_table(found), encoding)]
    if (shown := found.shown) is not None:
        for set_name, words in SET_WORDS.items():
            table = figures_table(shown, set_name).only(
                "Share of segments", "Before", "After", "Change"
            )
            title = Text(f"\n{words}, {shown.name}, with 95 % intervals", "bold")
            parts += [title, table_view(table, encoding)]
        parts += [Text(), Text(USEFUL, style="dim")]
    return Group(*parts)


def print_adaptation(found: Adaptation, *, console: Console | None = None) -> None:
    """Show a result; ``console`` is one on the standard output unless given."""
    console = console or standard_console()
    console.print(adaptation_view(found, console.encoding))


def figure_notes(stage: StageResult) -> list[tuple[str, str, str]]:
    """Name, value and note of the figures that stand first on a page."""
    made = []
    for name in NAMES:
        figure = stage.figure("domain", name)
        if figure is None or not known(figure.before.value):
            continue
        value = f"{plain(figure.before.value, 2)} → {plain(figure.after.value, 2)}"
        made.append((WORDS[name], value, f"change {interval_words(figure.change, sign=True)}"))
    return made


def _ordered(figures: Sequence[Figure], set_name: str) -> list[Figure]:
    chosen = [figure for figure in figures if figure.set == set_name]
    return sorted(chosen, key=lambda f: (NAMES.index(f.name), f.length_s))


def _cell(interval: Interval, *, sign: bool = False) -> Cell:
    value = interval.value if known(interval.value) else None
    return Cell(interval_words(interval, sign=sign), sort=value, kind="number")
