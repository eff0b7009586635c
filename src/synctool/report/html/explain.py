"""The page of ``explain``."""

from __future__ import annotations

import base64

import numpy as np
from markupsafe import Markup

from synctool._version import __version__
from synctool.explaining.run import Explanation
from synctool.report.charts.explanation import moments_chart
from synctool.report.charts.svg import element
from synctool.report.explanation import figures, jpeg, telling_frames
from synctool.report.explanation_images import mean_overlay, overlay, volume_image
from synctool.report.html.page import embedded_json, render
from synctool.report.json_out import to_json_line
from synctool.report.text import printable
from synctool.report.wording import capital
from synctool.types import FRAME_MS, VIDEO_FPS

_PLACES_PX, _FRAME_PX, _FRAMES = 360, 180, 8
_VOLUME_PX = (840, 248)


def explain_page(found: Explanation, colour: str, *, command: str) -> str:
    """The page of one moment.

    Args:
        found: The explanation.
        colour: Order of the crops' colours.
        command: The command that made it.
    """
    first = found.moment.first_frame
    chosen = telling_frames(found, _FRAMES)
    return render(
        "explain.html.j2",
        title=printable(found.input),
        at=f"{found.moment.at_s:g} s",
        places=_image(
            mean_overlay(found, colour, side_px=_PLACES_PX), "The crop with the map of the moment"
        ),
        frames=[
            (
                _image(overlay(found, t, colour, side_px=_FRAME_PX), "The crop with its map"),
                f"{(first + t) / VIDEO_FPS:.2f} s",
            )
            for t in chosen
        ],
        volume=_image(
            volume_image(found.volume, size_px=_VOLUME_PX), "Score of every offset along time"
        ),
        range=f"±{round((len(found.volume) - 1) / 2 * FRAME_MS)} ms",
        chart=moments_chart(found),
        facts=[(capital(name), printable(value)) for name, value in figures(found)],
        json=embedded_json(to_json_line(found)),
        command=printable(command),
        version=__version__,
    )


def _image(image: np.ndarray, label: str) -> Markup:
    height, width = image.shape[:2]
    data = base64.b64encode(jpeg(image)).decode("ascii")
    shown = element("image", href=f"data:image/jpeg;base64,{data}", width=width, height=height)
    return element(
        "svg", shown, class_="shot", role="img", aria_label=label,
        view_box=f"0 0 {width} {height}", width=width, height=height,
    )  # fmt: skip
