"""Why a video has no verdict: every cause by a video that has it, through the bundled model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest

from synctool.measure.detect import Detector
from synctool.media.video_file import VideoFile
from synctool.types import DetectResult
from videos import Audio, Video, make_video

pytestmark = pytest.mark.integration

RATE = 16_000


@dataclass(frozen=True)
class Talk:
    """A talking face: frames uint8 ``[T, 224, 224]`` and samples int16, 16 kHz."""

    images: np.ndarray
    samples: np.ndarray


def read(path: Path) -> Talk:
    with VideoFile(path) as video:
        images = np.stack([image.luma for image in video if image.luma is not None])
        return Talk(images, video.audio.pop(video.audio.end))


@pytest.fixture(scope="module")
def talk(clips: Path) -> Talk:
    return read(clips / "example.avi")


@pytest.fixture(scope="module")
def other(clips: Path) -> np.ndarray:
    """Another's speech."""
    return read(clips / "demo1_video.mp4").samples


@pytest.fixture(scope="module")
def measure() -> Detector:
    return Detector(device="cpu")


def film(path: Path, images: np.ndarray, samples: np.ndarray) -> Path:
    height, width = images[0].shape
    video = Video(size=(width, height), images=list(images), options={"preset": "ultrafast"})
    audio = Audio(rate=RATE, layout="mono", samples=samples.astype(np.float32) / 32768)
    return make_video(path, seconds=len(images) / 25, video=video, audio=[audio])


def pasted(images: np.ndarray, *, width: int, height: int) -> np.ndarray:
    """The frames at another size in the middle of a grey picture."""
    out = np.full((len(images), 224, 224), 110, np.uint8)
    top, left = (224 - height) // 2, (224 - width) // 2
    for frame, image in zip(out, images):
        small = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
        frame[top : top + height, left : left + width] = small
    return out


def melody(seconds: float) -> np.ndarray:
    """Single notes that come and go: no speech, and not steady either."""
    time_s = np.arange(round(seconds * RATE)) / RATE
    pitch_hz = 220 * 2 ** (np.floor(time_s * 2) % 5 / 4)
    notes = np.sin(2 * np.pi * np.cumsum(pitch_hz) / RATE) * np.exp(-6 * (time_s * 2 % 1))
    return 12_000 * notes


SECONDS = 6
FRAMES, SAMPLES = 25 * SECONDS, RATE * SECONDS


def no_face(talk: Talk, other: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.full((FRAMES, 224, 224), 110, np.uint8), talk.samples[:SAMPLES]


def silent(talk: Talk, other: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return talk.images[:FRAMES], np.zeros(SAMPLES)


def music(talk: Talk, other: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return talk.images[:FRAMES], melody(SECONDS)


def speech_without_the_face(talk: Talk, other: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A silent face, and then speech without one."""
    nobody = np.full((75, 224, 224), 110, np.uint8)
    images = np.concatenate([talk.images[:75], nobody])
    return images, np.concatenate([np.zeros(3 * RATE), talk.samples[6 * RATE : 9 * RATE]])


def short(talk: Talk, other: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return talk.images[150:160], talk.samples[6 * RATE : 6 * RATE + 6400]


def small(talk: Talk, other: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return pasted(talk.images[:FRAMES], width=44, height=44), other[:SAMPLES]


def far(talk: Talk, other: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The audio is 40 frames behind."""
    late = np.concatenate([np.zeros(40 * 640), talk.samples])
    return talk.images[:300], late[: 300 * 640]


def dubbed(talk: Talk, other: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return talk.images[: 9 * 25], other[: 9 * RATE]


def short_and_foreign(talk: Talk, other: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return talk.images[20:65], other[3 * RATE : 3 * RATE + 45 * 640]


@pytest.mark.parametrize(
    ("made", "code", "words"),
    [
        (no_face, "no_face", "no face was found"),
        (silent, "no_speech", "the audio is silent"),
        (music, "no_speech", "nobody speaks while a face is visible"),
        (speech_without_the_face, "no_speech", "s of speech without a face"),
        (short, "too_short", "too short: 0."),
        (small, "face_too_small", "the face is too small"),
        (far, "out_of_range", "search wider with --max-offset"),
        (dubbed, "audio_from_elsewhere", "no lips match it"),
        (short_and_foreign, "weak_evidence", "the evidence is weak"),
    ],
)
def test_the_cause_is_named(
    made: Callable[..., tuple[np.ndarray, np.ndarray]],
    code: str,
    words: str,
    talk: Talk,
    other: np.ndarray,
    measure: Detector,
    tmp_path: Path,
) -> None:
    result = measure.detect(film(tmp_path / "a.mkv", *made(talk, other)))
    assert (result.verdict, result.reason_code) == ("inconclusive", code), result.reason
    assert result.reason is not None and words in result.reason
    assert ("--max-offset" in result.reason) == (code == "out_of_range")
    assert _speakers_are_right(result)


def test_a_face_that_is_turned_away(
    corpus: Path, other: np.ndarray, measure: Detector, tmp_path: Path
) -> None:
    """A speaker in profile, with another's audio."""
    profile = read(corpus / "wild/LRS2-LRS3-l2s/p23/303000_gt.mp4")
    path = film(tmp_path / "a.mkv", profile.images, other[: 640 * len(profile.images)])
    result = measure.detect(path)
    assert result.reason_code == "face_turned_away", result.reason
    assert result.reason is not None and "the face is turned aside" in result.reason


def _speakers_are_right(result: DetectResult) -> bool:
    """Speech without a face, or that no lips match, is an off-screen voice; else nobody can tell."""
    if result.reason_code not in ("no_face", "audio_from_elsewhere"):
        return result.speakers is None
    return bool(result.speakers) and all(turn.track is None for turn in result.speakers or ())


def test_an_answer_has_no_reason(talk: Talk, measure: Detector, tmp_path: Path) -> None:
    path = film(tmp_path / "a.mkv", talk.images[:FRAMES], talk.samples[:SAMPLES])
    result = measure.detect(path)
    assert (result.reason, result.reason_code) == (None, None)
    assert {turn.track for turn in result.speakers or ()} == {0}
