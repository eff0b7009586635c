"""What ``explain`` says of a moment, for the terminal and for files."""

from __future__ import annotations

import os
from collections.abc import Sequence

import cv2
import numpy as np
from rich.console import Console, Group
from rich.text import Text

from synctool.explaining.run import Explanation
from synctool.files import atomic_path
from synctool.report.explanation_images import mean_overlay, overlay, volume_image
from synctool.report.plot_format import check_format
from synctool.report.terminal import facts_grid, standard_console
from synctool.report.text import plain, printable
from synctool.scoring.verdict import in_words
from synctool.types import FRAME_MS, VIDEO_FPS

_NAMES = {
    "occlusion": "occlusion: what the score loses where a place does not move",
    "grad-cam": "Grad-CAM: where the last layer with places speaks for the offset",
    "integrated-gradients": "integrated gradients from the mean look to the crops",
}
_SHOWN = 5
_NOTABLE = 0.02
"""Share of what all frames carry together from which one that speaks against the answer is named."""


def figures(found: Explanation) -> list[tuple[str, str]]:
    """Names and values of what was found."""
    moment, masking, random = found.moment, found.masking, found.random_weights
    start = (moment.first_frame + moment.target.start) / VIDEO_FPS
    stop = (moment.first_frame + moment.target.stop) / VIDEO_FPS
    sure = plain(found.confidence, 2)
    return [
        ("explained", f"face {moment.face}, {start:.2f} to {stop:.2f} s"),
        ("offset there", f"audio {in_words(found.offset_ms)}, confidence {sure}"),
        ("method", f"{_NAMES[found.method]} ({found.backbone}, {found.runtime})"),
        ("places", places_words(found.heat)),
        ("frames", moments_words(found.frames, moment.first_frame)),
        ("audio", moments_words(found.audio, moment.first_frame)),
        (
            "masking check",
            f"{_passed(masking.passed)}: the {100 * masking.share:.0f} % named cost "
            f"{100 * masking.named:.0f} % of the score, as many others {100 * masking.random:.0f} % "
            f"({100 * masking.random_low:.0f} to {100 * masking.random_high:.0f})",
        ),
        (
            "weights check",
            f"not tried: {_untried(found)}"
            if random is None
            else f"{_passed(random.passed)}: rank correlation {plain(random.correlation, 2)} with the map of "
            "shuffled weights",
        ),
    ]


def _untried(found: Explanation) -> str:
    """Why there is no second check."""
    return "it needs PyTorch (--runtime torch)" if found.checks else "left out (--no-checks)"


def places_words(heat: np.ndarray) -> str:
    """Where the heaviest tenth of a map lies, in words."""
    side = len(heat)
    rows, columns = np.nonzero(heat >= np.quantile(heat, 0.9))
    y, x = (float(v.mean()) / side for v in (rows, columns))
    across = "left" if x < 0.4 else "right" if x > 0.6 else "middle"
    down = "upper" if y < 0.4 else "lower" if y > 0.6 else "middle"
    where = "the middle" if across == down == "middle" else f"the {down} {across}"
    return f"the heaviest tenth lies round {where} of the crop ({100 * x:.0f} % across, {100 * y:.0f} % down)"


def moments_words(values: np.ndarray, first_frame: int) -> str:
    """The frames that carried most, and those without which the score would be notably higher."""
    order_up = np.argsort(values).tolist()
    order = order_up[::-1][:_SHOWN]
    total = float(np.clip(values, 0, None).sum())
    share = float(np.clip(values[order], 0, None).sum()) / max(total, 1e-9)
    most = f"most at {_times(order, first_frame)} s: {100 * share:.0f} % of all"
    against = [t for t in order_up[:_SHOWN] if values[t] <= -_NOTABLE * total]
    return f"{most}; against it at {_times(against, first_frame)} s" if against else most


def _times(frames: Sequence[int], first_frame: int) -> str:
    return ", ".join(f"{(first_frame + t) / VIDEO_FPS:.2f}" for t in sorted(frames))


def telling_frames(found: Explanation, count: int) -> list[int]:
    """The frames that carried most, apart by a tenth of a second, in order."""
    weight = np.clip(found.frames, 0, None) * found.heats.max((1, 2))
    order = np.argsort(weight)[::-1].tolist()
    chosen: list[int] = []
    for t in order:
        if len(chosen) < count and all(abs(t - other) > 2 for other in chosen):
            chosen.append(t)
    return sorted(chosen)


def print_explanation(found: Explanation, *, console: Console | None = None) -> None:
    """Show it; ``console`` is one on the standard output unless given."""
    console = console or standard_console()
    grid = facts_grid(figures(found), console.encoding)
    heading = Text.assemble(
        (printable(found.input, console.encoding), "bold"),
        f" at {found.moment.at_s:g} s: what carried the answer",
    )
    console.print(Group(heading, grid))


def write_picture(found: Explanation, colour: str, path: str | os.PathLike[str]) -> None:
    """Draw the explanation: map, frames, moments, score volume; PNG, SVG, PDF or JPEG by its suffix.

    Raises:
        OutputError: The suffix is not known, or the file cannot be written.
    """
    kind = check_format(path)
    from matplotlib.figure import Figure

    moment = found.moment
    figure = Figure(figsize=(11, 6.4), layout="constrained")
    grid = figure.add_gridspec(3, 6, height_ratios=(3, 1.6, 1.6))
    axes = figure.add_subplot(grid[0, :2])
    axes.imshow(_rgb(mean_overlay(found, colour, side_px=360)))
    axes.set_title("Places", loc="left", fontsize=9)
    axes.axis("off")
    chosen = np.array(telling_frames(found, 4))
    for place, t in enumerate(chosen.tolist()):
        axes = figure.add_subplot(grid[0, 2 + place])
        axes.imshow(_rgb(overlay(found, t, colour, side_px=240)))
        axes.set_title(f"{(moment.first_frame + t) / VIDEO_FPS:.2f} s", fontsize=9)
        axes.axis("off")
    frames, rows = len(moment.crops), len(found.volume)
    start_s, end_s = moment.first_frame / VIDEO_FPS, (moment.first_frame + frames) / VIDEO_FPS
    t_s = start_s + (np.arange(frames) + 0.5) / VIDEO_FPS
    axes = figure.add_subplot(grid[1, :])
    axes.bar(t_s - 0.009, found.frames, 0.018, label="frames", color="#0068a8")
    axes.bar(t_s + 0.009, found.audio, 0.018, label="audio", color="#c24a00")
    axes.axhline(0, color="#999", linewidth=0.8)
    axes.set_xlim(start_s, end_s)
    axes.set_ylabel("score lost", fontsize=8)
    axes.legend(fontsize=8, loc="upper right", ncols=2)
    axes = figure.add_subplot(grid[2, :])
    most = (rows - 1) // 2 * FRAME_MS
    axes.imshow(
        _rgb(volume_image(found.volume, size_px=(8 * frames, 8 * rows))),
        extent=(start_s, end_s, -most, most),
        aspect="auto",
    )
    axes.axhline(found.offset_ms, color="white", linewidth=0.8, linestyle=":")
    axes.set_ylabel("audio ahead, ms", fontsize=8)
    axes.set_xlabel("time, s", fontsize=8)
    name = printable(os.path.basename(found.input))
    figure.suptitle(f"{name} at {moment.at_s:g} s: {found.method}, {found.backbone}", fontsize=11)
    with atomic_path(path) as beside:
        figure.savefig(beside, format=kind, dpi=120)


def jpeg(image: np.ndarray) -> bytes:
    """An image in BGR as JPEG."""
    _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 85])
    return data.tobytes()


def _rgb(image: np.ndarray) -> np.ndarray:
    return image[..., ::-1]


def _passed(passed: bool) -> str:
    return "passed" if passed else "FAILED"
