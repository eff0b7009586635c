"""The frame of a calibration: how often answers of each confidence are right."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from synctool.scoring.confidence import ReliabilityBin


def plot_reliability(
    path: Path,
    folds: Sequence[ReliabilityBin],
    stored: Sequence[ReliabilityBin],
    folds_error: float,
    stored_error: float,
) -> None:
    """Draw both reliability tables.

    Args:
        path: ``.png`` or ``.svg``.
        folds: Over folds by person.
        stored: Of the calibration that is stored with the weights.
        folds_error: Its expected calibration error.
        stored_error: And the other's.
    """
    import matplotlib

    matplotlib.use("Agg")
    matplotlib.rcParams["svg.hashsalt"] = "synctool"  # the same file from the same figures
    from matplotlib import pyplot

    figure, (upper, lower) = pyplot.subplots(
        2, 1, figsize=(5, 6), sharex=True, height_ratios=(3, 1), layout="constrained"
    )
    upper.plot([0, 1], [0, 1], color="0.7", linewidth=1)
    for rows, name, error, style in (
        (folds, "people left out of the fit", folds_error, "o-"),
        (stored, "as stored", stored_error, "s--"),
    ):
        upper.plot(
            [row.confidence for row in rows],
            [row.accuracy for row in rows],
            style,
            label=f"{name} (error {error:.3f})",
        )
    upper.set(ylabel="right within ±1 frame", xlim=(0, 1), ylim=(0, 1))
    upper.legend(loc="upper left", frameon=False)
    lower.bar(
        [(row.low + row.high) / 2 for row in folds], [row.count for row in folds], 0.09, color="0.6"
    )
    lower.set(xlabel="confidence", ylabel="stretches")
    figure.savefig(path, dpi=110, metadata={"Date": None} if path.suffix == ".svg" else None)
    pyplot.close(figure)
