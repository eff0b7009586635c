"""Packed training samples: tar shards in the WebDataset convention, small enough to train at scale.

A sample is four files with one key: ``KEY.json`` (facts), ``KEY.mouth.jpg`` (the crops one below the
other, grey), ``KEY.face.jpg`` (one face, to tell people apart) and ``KEY.wav`` (16 kHz mono). Each
shard has a JSON file beside it that lists its samples and failures; a shard without one is unfinished.
"""

from __future__ import annotations

import io
import json
import tarfile
import wave
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from synctool.errors import MissingError, SyncToolError
from synctool.types import AUDIO_HZ

MOUTH_PX = 96
"""Side of stored mouth crops: the network's 72 px and room to move, turn and scale them."""
FACE_PX = 64
LONGEST_FRAMES = 500
"""Longer tracks become several samples: JPEG allows 65,535 rows."""
_QUALITY = [cv2.IMWRITE_JPEG_QUALITY, 95]


@dataclass(frozen=True)
class SampleInfo:
    """Facts about a sample; ``sound_lead`` samples of the sound lie before its first frame."""

    key: str
    video_path: str
    speaker: str
    source: str
    split: str
    track: int
    first_tick: int
    num_frames: int
    sound_lead: int
    fps: int = 25
    sample_rate: int = AUDIO_HZ
    face_px: float = 0.0


@dataclass(frozen=True)
class Sample:
    """A stretch of one face with its sound.

    Attributes:
        info: Facts.
        mouth: uint8 ``[T, 96, 96]``.
        face: uint8 ``[64, 64]``.
        sound: int16 ``[N]``; frame t begins at ``info.sound_lead + 640 t``.
    """

    info: SampleInfo
    mouth: np.ndarray
    face: np.ndarray
    sound: np.ndarray


@dataclass
class ShardReport:
    """What became of the films of one shard."""

    samples: list[dict[str, Any]] = field(default_factory=list)
    failures: list[dict[str, str]] = field(default_factory=list)
    films: int = 0


def add_sample(tar: tarfile.TarFile, sample: Sample) -> None:
    """Append a sample to an open shard."""
    key = sample.info.key
    strip = sample.mouth.reshape(-1, sample.mouth.shape[-1])
    _add(tar, f"{key}.json", json.dumps(asdict(sample.info), ensure_ascii=False).encode())
    _add(tar, f"{key}.mouth.jpg", cv2.imencode(".jpg", strip, _QUALITY)[1].tobytes())
    _add(tar, f"{key}.face.jpg", cv2.imencode(".jpg", sample.face, _QUALITY)[1].tobytes())
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(AUDIO_HZ)
        file.writeframes(sample.sound.astype("<i2").tobytes())
    _add(tar, f"{key}.wav", buffer.getvalue())


def shards_in(folder: Path) -> list[Path]:
    """The finished shards of a processed folder.

    Raises:
        MissingError: There are none.
    """
    shards = sorted(p for p in folder.glob("shard-*.tar") if p.with_suffix(".json").is_file())
    if not shards:
        raise MissingError(
            f"{folder} holds no processed films",
            remedy="Make them with: synctool preprocess FILMS FOLDER",
        )
    return shards


def read_samples(shard: Path) -> Iterator[Sample]:
    """The samples of a shard, in order.

    Raises:
        SyncToolError: The shard is damaged.
    """
    known = {f.name for f in fields(SampleInfo)}
    parts: dict[str, bytes] = {}
    try:
        with tarfile.open(shard) as tar:
            for member in tar:
                kind = member.name.split(".", 1)[1]
                parts[kind] = tar.extractfile(member).read()
                if kind != "wav":
                    continue
                facts = json.loads(parts["json"])
                info = SampleInfo(**{k: v for k, v in facts.items() if k in known})
                with wave.open(io.BytesIO(parts["wav"])) as file:
                    sound = np.frombuffer(file.readframes(file.getnframes()), "<i2")
                yield Sample(
                    info,
                    _image(parts["mouth.jpg"]).reshape(-1, MOUTH_PX, MOUTH_PX),
                    _image(parts["face.jpg"]),
                    sound,
                )
                parts = {}
    except (tarfile.TarError, KeyError, ValueError, AttributeError, EOFError, wave.Error) as error:
        raise SyncToolError(
            f"{shard} is damaged: {error}",
            remedy="Delete it with its .json file and run preprocess again.",
        ) from error


def _image(data: bytes) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE)


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(data)
    tar.addfile(member, io.BytesIO(data))
