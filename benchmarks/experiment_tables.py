"""The figures of ``experiments.py`` as tables, with what they show in words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from tables import Table, drawn, kept_interval, share

from synctool.evaluation.bootstrap import Interval

_ANSWERS = {
    "middle": "always 0, whatever is seen and heard",
    "regression": "regression, as it is",
    "line": "the same behind a straight line (least squares)",
    "stretched": "the same, stretched to slope 1",
    "soft-argmax": "classifier, trained with `mse` on the mean of its candidates only",
    "classifier": "classifier, the usual mixture",
}


def collapse_tables(figures: Mapping[str, Any]) -> list[Table]:
    """Regression and choice, one table a collection."""
    tables = []
    for source, of in figures["sources"].items():
        first = kept_interval(next(iter(of["quality"].values()))["deviation"])
        table = Table(
            f"{source}, people never trained on",
            [
                *("answer", "standard deviation", "slope on truth", "within ±1 frame"),
                *("the same, others' frames", "median error"),
            ],
            note=f"{len(of['true'])} windows of {of['clips']} clips of {of['people']} people; the "
            f"standard deviation of the truth is {np.std(of['true']):.1f} frames; {drawn(first)}.",
        )
        for name, text in _ANSWERS.items():
            if name in of["quality"]:
                q = {k: kept_interval(v) for k, v in of["quality"][name].items()}
                table.rows.append(
                    [
                        text,
                        _frames(q["deviation"]),
                        share(q["slope"]),
                        share(q["within"]),
                        share(q["blind"]),
                        _frames(q["median_error"]),
                    ]
                )
        tables.append(table)
    return tables


def early_tables(figures: Mapping[str, Any]) -> list[Table]:
    """What early stopping keeps, against the last epoch."""
    rows, epochs = figures["curve"], figures["epochs"]
    judges, test = figures["judges"], figures["test"]
    table = Table(
        "One person's clips, learnt by heart or not",
        ["", "epoch", "training loss", "validation score", "within ±1 frame, test people"],
        note=f"{figures['clips']} clips of one person to learn from; validation: {judges['clips']} "
        f"clips of {judges['people']} others; test: {test['clips']} clips of {test['people']} more.",
        after=_early_words(figures),
    )
    names = {
        "kept": f"kept by `--early-stopping {figures['patience']}`",
        "best": "best of all epochs",
        "last": "last",
    }
    for name, text in names.items():
        if name == "best" and epochs["best"] == epochs["kept"]:
            continue
        row = rows[epochs[name] - 1]
        within = kept_interval(figures["within"][str(epochs[name])])
        cells = [f"{row['loss']:.2f}", f"{row['score']:.3f}", share(within)]
        table.rows.append([text, str(epochs[name]), *cells])
    return [table]


def _early_words(figures: Mapping[str, Any]) -> str:
    """What the curve shows, whatever it shows."""
    rows, kept = figures["curve"], figures["epochs"]["kept"]
    first, last = rows[kept - 1], rows[-1]
    if kept == len(rows):
        return (
            "The validation score was best in the last epoch: at this budget the run does not "
            "overfit, and early stopping changes nothing."
        )
    if figures["ended"] == len(rows):
        words = f"The run went to its end, epoch {len(rows)}. "
    else:
        words = f"The run would have ended after epoch {figures['ended']} of {len(rows)}. "
    loss = "fell" if last["loss"] < first["loss"] else "rose"
    score = "fell" if last["score"] < first["score"] else "did not fall"
    words += (
        f"From epoch {kept} to the last the training loss {loss} from {first['loss']:.2f} to "
        f"{last['loss']:.2f}, and the validation score {score}: {first['score']:.3f} to "
        f"{last['score']:.3f}. "
    )
    lost = kept_interval(figures["lost"])
    verdict = "no difference that this test can tell from chance"
    if lost.low > 0 or lost.high < 0:
        verdict = "a gain" if lost.low > 0 else "a loss"
    return (
        f"{words}On the test people the last epoch's share within a frame differs from that of the "
        f"kept one by {lost.value:+.3f} [{lost.low:+.3f}, {lost.high:+.3f}], paired: {verdict}."
    )


def transfer_tables(figures: Mapping[str, Any]) -> list[Table]:
    """The four beginnings."""
    test = figures["test"]
    first = kept_interval(figures["quality"]["nothing"]["deviation"])
    table = Table(
        f"{figures['target']}, people never trained on",
        [
            *("begun with", "within ±1 frame", "the same, others' frames"),
            *("more than from nothing", "median error"),
        ],
        note=f"Learnt from {figures['clips']} clips of {figures['people']} people; judged on "
        f"{figures['windows']} windows of {test['clips']} clips of {test['people']} others; "
        f"{drawn(first)}.",
    )
    for name, text in figures["names"].items():
        found = figures["quality"][name]
        gain = figures["gain"].get(name)
        table.rows.append(
            [
                text,
                share(kept_interval(found["within"])),
                share(kept_interval(found["blind"])),
                _signed(kept_interval(gain)) if gain else "-",
                _frames(kept_interval(found["median_error"])),
            ]
        )
    return [table]


def _frames(found: Interval) -> str:
    return f"{found.value:.1f} [{found.low:.1f}, {found.high:.1f}]"


def _signed(found: Interval) -> str:
    return f"{found.value:+.2f} [{found.low:+.2f}, {found.high:+.2f}]"


TABLES: dict[str, Callable[[Mapping[str, Any]], list[Table]]] = {
    "collapse": collapse_tables,
    "early": early_tables,
    "transfer": transfer_tables,
}
