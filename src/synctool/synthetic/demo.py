"""The video of ``synctool demo``."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from synctool.errors import UsageError
from synctool.settings.demo import DemoSettings
from synctool.synthetic.scene import OffsetAt, Scene


def demo_scene(settings: DemoSettings) -> Scene:
    """The scene that the settings ask for, in 16:9."""
    height = settings.height // 2 * 2
    return Scene(
        duration_s=settings.duration,
        offsets=(OffsetAt(0.0, settings.offset_ms),),
        faces=settings.faces,
        seed=settings.seed,
        size_px=(round(height * 16 / 9 / 2) * 2, height),
    )


def write_demo(
    settings: DemoSettings,
    path: str | os.PathLike[str],
    *,
    on_progress: Callable[[float], None] | None = None,
) -> None:
    """Render the video.

    Args:
        settings: What it shows.
        path: The file; one that is there is replaced only where it is such a video.
        on_progress: Called with the share that is done, 0..1.

    Raises:
        SyncToolError: See ``synctool.synthetic.video.write_scene``.
        UsageError: Another file has that name.
    """
    from synctool.synthetic.video import is_synthetic, write_scene

    if Path(path).is_file() and not is_synthetic(path):
        raise UsageError(
            f"{os.fspath(path)} exists, and is no video of synctool demo",
            remedy="Give another name with -o.",
        )
    write_scene(demo_scene(settings), path, on_progress=on_progress)
