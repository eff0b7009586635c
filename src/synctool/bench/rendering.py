"""Items as files: rendered in a temporary folder when they are wanted, under names that tell nothing."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp

import av
import numpy as np

from synctool.bench.items import Item
from synctool.comparison.degradations import write_degraded
from synctool.media.rewrite import rewrite
from synctool.synthetic.scene import Rendering, Scene
from synctool.synthetic.video import write_scene
from synctool.types import AUDIO_HZ

SIGNATURE_SIDE = 4
"""The signature of a rendering has so many by so many fields of brightness."""


@contextmanager
def rendered(items: Sequence[Item], folder: Path) -> Iterator[Iterator[tuple[Item, Path]]]:
    """The files of a batch, one after the other; what they share is rendered once.

    Args:
        items: A batch of ``batches``.
        folder: Where they are made; nothing stays.

    Yields:
        Items with their files, each there until the next is asked for.

    Raises:
        SyncToolError: A file cannot be made.
    """
    place = Path(mkdtemp(dir=folder, prefix="clip-"))
    try:
        yield _files(items, place)
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _files(items: Sequence[Item], place: Path) -> Iterator[tuple[Item, Path]]:
    first = items[0]
    base = place / f"base{first.suffix}"
    write_scene(first.scene, base, first.timing)
    for number, item in enumerate(items):
        own = place / f"{number:03d}"
        own.mkdir()
        yield item, _made(item, base, own)
        shutil.rmtree(own, ignore_errors=True)


def _made(item: Item, base: Path, folder: Path) -> Path:
    target = folder / "video.mkv"
    if item.degradation is not None:
        name, level = item.degradation
        return write_degraded(base, target, name, level, seed=item.scene.seed)
    if item.silent:
        rewrite(base, target, audio=np.zeros_like)
        return target
    target = folder / f"video{item.suffix}"
    if item.voice is not None:
        other = folder.parent / f"other{item.suffix}"
        write_scene(item.voice, other, item.timing)
        with_audio_of(base, other, target)
        return target
    shutil.copyfile(base, target)
    return target


def with_audio_of(seen: Path, heard: Path, target: Path) -> None:
    """Write the images of one video with the audio of another, their packets as they are."""
    with av.open(str(target), "w") as out, av.open(str(seen)) as one, av.open(str(heard)) as other:
        taken = [one.streams.video[0], other.streams.audio[0]]
        written = [out.add_stream_from_template(stream) for stream in taken]
        for container, stream, own in zip((one, other), taken, written):
            for packet in container.demux(stream):
                if packet.dts is not None:
                    packet.stream = own
                    out.mux(packet)


def signature(scene: Scene) -> dict[str, list[float]]:
    """Coarse figures of a rendering, equal on any machine but for rounding.

    Args:
        scene: The scene.

    Returns:
        ``brightness``: mean of 4 x 4 fields of the frames at 0.5 and 1.5 s, 0..255; ``level_db``: level of
        the audio in eight parts of the first two seconds.
    """
    rendering = Rendering(scene)
    fields = []
    for image in rendering.frames([0.5, 1.5]):
        grey = image.astype(np.float64).mean(2)
        for row in np.array_split(grey, SIGNATURE_SIDE):
            fields += [float(f.mean()) for f in np.array_split(row, SIGNATURE_SIDE, axis=1)]
    parts = np.array_split(rendering.samples(0.0, 2 * AUDIO_HZ).astype(np.float64), 8)
    levels = [10 * np.log10(float((p**2).mean()) + 1e-12) for p in parts]
    return {
        "brightness": [round(f, 2) for f in fields],
        "level_db": [round(float(x), 2) for x in levels],
    }
