"""Samples as folders, one for each clip: readable by any program, but many small files.

``KEY/frames/000000.jpg`` and so on, ``KEY/audio.wav`` (16 kHz mono, from the first frame to the last),
``KEY/mfcc.npy`` (float32 ``[13, 4 T]``), ``KEY/portrait.jpg`` and ``KEY/info.json``.
"""

from __future__ import annotations

import io
from collections.abc import Container, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np

from synctool.data.samples import Sample, SampleInfo, jpeg, portrait_of, wav
from synctool.data.storage import Storage
from synctool.features.mfcc import MARGIN, mfcc
from synctool.types import SAMPLES_PER_FRAME
from synctool.untrusted.audio_files import decode_wav
from synctool.untrusted.documents import parse_json
from synctool.untrusted.jpeg_files import decode_jpeg
from synctool.untrusted.origin import MalformedError, Origin

INFO = "info.json"


class FolderWriter:
    """Writes one folder per sample.

    Args:
        output: The processed folder.
    """

    sha256 = None

    def __init__(self, output: Storage) -> None:
        self._output = output
        self.size_bytes = 0

    def add(self, sample: Sample) -> SampleInfo:
        """Write a sample; the folder appears whole.

        Raises:
            OutputError: It cannot be written.
        """
        frames = sample.info.num_frames
        begin = sample.info.sound_lead
        audio = sample.audio[begin : begin + frames * SAMPLES_PER_FRAME]
        after = np.pad(sample.audio[begin:], (0, frames * SAMPLES_PER_FRAME))
        features = mfcc(after[: frames * SAMPLES_PER_FRAME + 2 * MARGIN])
        info = replace(sample.info, sound_lead=0, mfcc_shape=features.shape)
        array = io.BytesIO()
        np.save(array, features)
        files = {
            "audio.wav": wav(audio),
            "mfcc.npy": array.getvalue(),
            "portrait.jpg": jpeg(sample.portrait),
            **{f"frames/{t:06d}.jpg": jpeg(crop) for t, crop in enumerate(sample.crops)},
            INFO: info.to_json(),
        }
        with self._output.scratch(info.key) as scratch:
            folder = scratch / "clip"
            for name, data in files.items():
                path = folder / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
                self.size_bytes += len(data)
            self._output.put_folder(folder, info.key)
        return info


@contextmanager
def folder_writer(output: Storage, name: str) -> Iterator[FolderWriter]:
    """A writer of clips of a group of videos; ``name`` is the group's."""
    yield FolderWriter(output)


def read_folders(
    folder: Storage, keys: Iterable[str], wanted: Container[str] | None = None
) -> Iterator[Sample]:
    """The samples of these keys.

    Args:
        folder: The processed folder.
        keys: Keys in order.
        wanted: Keys to read, None for all.

    Raises:
        MissingError: A file of theirs is not there.
        SyncToolError: One is damaged.
    """
    for key in keys:
        if wanted is not None and key not in wanted:
            continue
        origin = Origin(
            f"{folder.place}/{key}",
            remedy="Delete the .json file of its group and run preprocess again.",
        )
        with origin.checked():
            sample = _read(folder, key)
        yield sample


def _read(folder: Storage, key: str) -> Sample:
    info = SampleInfo.from_dict(parse_json(folder.read(f"{key}/{INFO}")))
    if info.key != key:
        raise MalformedError(f"its {INFO} is that of {info.key[:80]}")
    side, colour = info.size_px, info.colour
    crops = [
        decode_jpeg(
            folder.read(f"{key}/frames/{t:06d}.jpg"), height=side, width=side, colour=colour
        )
        for t in range(info.num_frames)
    ]
    portrait = portrait_of(folder.read(f"{key}/portrait.jpg"))
    audio = decode_wav(folder.read(f"{key}/audio.wav"))
    return Sample(info, np.stack(crops), portrait, np.array(audio))
