"""The figures of ``experiments.py`` as frames."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from experiment_runs import MAX_OFFSET
from tables import kept_interval

_SHOWN = ("regression", "stretched", "soft-argmax", "classifier")


def _collapse_plot(path: Path, figures: Mapping[str, Any]) -> None:
    of = next(iter(figures["sources"].values()))
    names = [name for name in _SHOWN if name in of["said"]]
    with _figure(path, len(names), sharey=True) as axes:
        ends = [-MAX_OFFSET, MAX_OFFSET]
        for axis, name in zip(axes, names):
            axis.plot(ends, ends, color="0.7", linewidth=1)
            axis.scatter(of["true"], of["said"][name], s=5, alpha=0.6, linewidths=0)
            title = {"soft-argmax": "classifier, mse alone", "stretched": "regression, stretched"}
            axis.set(title=title.get(name, name), xlabel="true offset (frames)", aspect="equal")
        axes[0].set(ylabel="answer (frames)", ylim=(-MAX_OFFSET - 1, MAX_OFFSET + 1))


def _early_plot(path: Path, figures: Mapping[str, Any]) -> None:
    rows, epochs = figures["curve"], figures["epochs"]
    with _figure(path, 2) as axes:
        x = [row["epoch"] for row in rows]
        for axis, name, title in zip(
            axes, ("loss", "score"), ("training loss", "validation score (other people)")
        ):
            axis.plot(x, [row[name] for row in rows], "o-", markersize=3)
            axis.axvline(epochs["kept"], color="0.6", linestyle="--", linewidth=1)
            axis.set(title=title, xlabel="epoch (dashed: kept by early stopping)")


def _transfer_plot(path: Path, figures: Mapping[str, Any]) -> None:
    with _figure(path, 1, width=8) as (axis,):
        for y, name in enumerate(reversed(figures["names"])):
            q = kept_interval(figures["quality"][name]["within"])
            reach = [[max(0, q.value - q.low)], [max(0, q.high - q.value)]]
            axis.errorbar(q.value, y, xerr=reach, fmt="o", color="C0", capsize=3)
        names = [text.replace("`", "") for text in figures["names"].values()][::-1]
        axis.set_yticks(range(len(names)), names)
        axis.set(xlabel="within ±1 frame (95%)", xlim=(0, None))
        axis.margins(y=0.2)


@contextmanager
def _figure(path: Path, count: int, *, width: float = 3.2, **options: Any) -> Iterator[Any]:
    """Axes in a row, written to a file at the end."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(
        1, count, figsize=(width * count, 3.2), layout="constrained", squeeze=False, **options
    )
    try:
        yield axes[0]
        figure.savefig(path, dpi=100)
    finally:
        pyplot.close(figure)


PLOTS: dict[str, Callable[[Path, Mapping[str, Any]], None]] = {
    "collapse": _collapse_plot,
    "early": _early_plot,
    "transfer": _transfer_plot,
}
