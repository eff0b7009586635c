"""The file formats of plots, known before anything is drawn."""

from __future__ import annotations

import os
from pathlib import Path

from synctool.errors import OutputNameError
from synctool.extras import require

FORMATS = ("png", "svg", "pdf", "jpg")


def check_plot(path: str | os.PathLike[str]) -> str:
    """Make sure before the work that a plot can be drawn.

    Returns:
        The format, see ``check_format``.

    Raises:
        OutputNameError: The suffix is not known.
        MissingError: Matplotlib is not installed.
    """
    kind = check_format(path)
    require("plot", "--plot")
    return kind


def check_format(path: str | os.PathLike[str]) -> str:
    """The format that the suffix of a plot asks for.

    Raises:
        OutputNameError: It is not known.
    """
    kind = Path(path).suffix.lower().lstrip(".").replace("jpeg", "jpg") or "png"
    if kind not in FORMATS:
        raise OutputNameError(
            f"cannot draw a plot as .{kind}",
            remedy=f"Give a name that ends in {', '.join('.' + name for name in FORMATS)}.",
        )
    return kind
