"""The causal path gives the embeddings and the answers of the offline one, and holds little."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest

import flicker_models as fakes
from flicker import flicker_video
from synctool.live import measuring, rolling
from synctool.live.addresses import live_address
from synctool.live.measuring import Measuring, Moment, measure_part
from synctool.live.parts import Part
from synctool.live.reader import LiveReader, Reading
from synctool.live.rolling import RollingEmbeddings
from synctool.measure.audio_encoder import AudioEncoder
from synctool.measure.detect import Detector
from synctool.measure.embeddings import FaceEmbeddings
from synctool.measure.encode import encode
from synctool.measure.threads import encoding_pool
from synctool.measure.tracks import build_detector
from synctool.networks.load import load_model
from videos import PlacedFace, murmur


class Spoken:
    """Takes all audio for speech: the flicker network's is noise."""

    def add(self, samples: np.ndarray) -> None:
        pass

    def forget(self, sample: int) -> None:
        pass

    def at(self, samples: np.ndarray) -> np.ndarray:
        return np.ones(len(samples), np.float32)


@pytest.fixture
def all_is_speech(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rolling, "VoiceActivity", Spoken)


def moments(path: Path, with_: Measuring) -> Iterator[tuple[Part, Moment]]:
    reader = LiveReader(
        live_address(str(path)), Reading(paced=False), on_loss=pytest.fail, on_change=pytest.fail
    )
    with encoding_pool(with_.model.runtime) as pool:
        for part in reader.parts():
            for moment in measure_part(part, with_, pool=pool):
                yield part, moment
    reader.close()


def test_a_source_at_its_end_gives_its_codecs_back(tmp_path: Path) -> None:
    video = flicker_video(tmp_path / "a.mp4", seconds=2)
    gc.collect()
    gc.disable()  # their threads must not wait for a collection
    try:
        before, seen = _codecs(), 0
        reader = LiveReader(
            live_address(str(video)),
            Reading(paced=False),
            on_loss=pytest.fail,
            on_change=pytest.fail,
        )
        for part in reader.parts():
            for _ in part:
                seen = max(seen, _codecs())
        del part
        reader.close()
        assert seen > before
        assert _codecs() == before
    finally:
        gc.enable()


def _codecs() -> int:
    return sum(isinstance(thing, av.CodecContext) for thing in gc.get_objects())


class Recorded(RollingEmbeddings):
    """Keeps all that it is given."""

    made: Recorded

    def __init__(self, **given: int) -> None:
        super().__init__(**given)
        Recorded.made = self
        self.faces: dict[int, list[FaceEmbeddings]] = {}
        self.rows: list[np.ndarray] = []
        self.previews: list[np.ndarray] = []

    def add_audio(self, rows: np.ndarray, preview: np.ndarray) -> None:
        self.rows.append(rows)
        self.previews.append(preview)
        super().add_audio(rows, preview)

    def add_faces(self, pieces: list[FaceEmbeddings]) -> None:
        for piece in pieces:
            self.faces.setdefault(piece.number, []).append(piece)
        super().add_faces(pieces)


@pytest.mark.integration
def test_the_embeddings_are_those_of_the_offline_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the default model, whose encoders look 6 frames around and whose audio level has blocks of 10 s."""
    video = flicker_video(
        tmp_path / "two.mp4",
        seconds=13,
        faces=lambda t: [PlacedFace(90, 90, 80), *([PlacedFace(230, 90, 80)] if 2 < t < 8 else [])],
        size=(320, 180),
    )
    model = load_model(threads=1)
    offline = encode(video, [model]).models[0]
    monkeypatch.setattr(measuring, "RollingEmbeddings", Recorded)
    for _ in moments(video, Measuring(model, build_detector("centerface"))):
        pass
    made = Recorded.made
    assert len(offline.faces) >= 2
    for face in offline.faces:
        pieces = made.faces[face.number]
        live = np.concatenate([piece.rows for piece in pieces], 1)
        assert pieces[0].first_frame == face.first_frame
        assert [p.first_frame for p in pieces[1:]] == [p.end_frame for p in pieces[:-1]]
        # All but the context that the last second has not got yet, and what is less than a second.
        assert face.frames - live.shape[1] <= 6 + offline.audio.rows.shape[1] % 25
        assert_same(live, face.rows[:, : live.shape[1]])
    known = np.concatenate(made.rows, 1)
    assert known.shape[1] >= 256 - 2 * 25
    assert_same(known, offline.audio.rows[:, : known.shape[1]])
    last = np.concatenate([known, made.previews[-1]], 1)
    assert offline.audio.rows.shape[1] - last.shape[1] <= 25


def assert_same(live: np.ndarray, offline: np.ndarray, *, share: float = 2e-3) -> None:
    """But for the last digits of 16 bits: sums of chunks of other lengths."""
    live, offline = live.astype(np.float32), offline.astype(np.float32)
    assert live.shape == offline.shape
    assert np.abs(live - offline).max() <= share * np.abs(offline).max()


@pytest.mark.parametrize("seconds", [0.5, 3.0, 11.0])
def test_a_preview_is_what_follows_if_the_audio_ends(seconds: float) -> None:
    model = load_model(threads=1)
    samples = np.round(murmur(12.0) * 32767).astype(np.int16)
    cut = round(seconds * 16_000)

    def encoder() -> AudioEncoder:
        return AudioEncoder(runtime=model.runtime, spec=model.spec, chunk_frames=25)

    ended, live = encoder(), encoder()
    ended.add(samples[:cut])
    ended.finish()
    live.add(samples[:cut])
    known = live.take()
    shown = np.concatenate([known, live.preview()], 1)
    assert_same(shown, ended.embeddings())
    live.add(samples[cut:])
    live.finish()
    whole = encoder()
    whole.add(samples)
    whole.finish()
    assert np.array_equal(np.concatenate([known, live.take()], 1), whole.embeddings())


def test_of_a_preview_what_is_known_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Second by second, the rows are near enough to those of the audio so far, and few frames are encoded."""
    model = load_model(threads=1)
    samples = np.round(murmur(9.0) * 32767).astype(np.int16)
    live = AudioEncoder(runtime=model.runtime, spec=model.spec, chunk_frames=25)
    lengths: list[int] = []
    encode_audio = model.runtime.encode_audio

    def counted(features: np.ndarray) -> np.ndarray:
        lengths.append(features.shape[-1] // 4)
        return encode_audio(features)

    monkeypatch.setattr(model.runtime, "encode_audio", counted)
    for second in range(9):
        live.add(samples[second * 16_000 : (second + 1) * 16_000])
        shown = live.preview()
    assert lengths[-1] <= 25 + 2 * 7
    ended = AudioEncoder(runtime=model.runtime, spec=model.spec, chunk_frames=25)
    ended.add(samples)
    ended.finish()
    assert_same(shown, ended.embeddings(), share=5e-2)
    live.add(np.concatenate([samples, samples // 16]))  # much softer: the gain is another
    before = len(lengths)
    shown = live.preview()
    ended = AudioEncoder(runtime=model.runtime, spec=model.spec, chunk_frames=25)
    ended.add(np.concatenate([samples, samples, samples // 16]))
    ended.finish()
    known = ended.embeddings()[:, -shown.shape[1] :]
    assert len(lengths) > before
    assert_same(shown, known, share=5e-2)


def test_answers_are_those_of_detect(tmp_path: Path, all_is_speech: None) -> None:
    """Over the same seconds, where a window holds all of them."""
    video = flicker_video(tmp_path / "a.mp4", seconds=8, ahead_frames=-3.25)
    model = fakes.grey()
    found = [m for _, m in moments(video, Measuring(model, build_detector("whole"), window_s=8.0))]
    assert [m.at_s for m in found] == [float(s) for s in range(1, 9)]
    offline = Detector(model=model, detector="whole").detect(video)
    assert offline.offset_frames is not None
    last = found[-1].answer
    assert last.offset_frames == pytest.approx(offline.offset_frames, abs=0.05)
    assert last.verdict == offline.verdict
    assert last.audio_is == "behind"
    for moment in found[2:]:  # a first answer after 3 s
        assert moment.answer.offset_frames == pytest.approx(-3.25, abs=0.3)


def test_a_move_is_seen_within_three_seconds(tmp_path: Path, all_is_speech: None) -> None:
    """Of 200 ms in the middle of 20 s, the delay of the answer counted."""
    moved_at = 10.0
    video = flicker_video(
        tmp_path / "a.mp4", seconds=20, ahead_frames=lambda t: 5.0 if t >= moved_at else 0.0
    )
    with_ = Measuring(fakes.grey(), build_detector("whole"))
    found = [m for _, m in moments(video, with_)]
    before = [m.answer.offset_ms for m in found if 3 <= m.at_s <= moved_at]
    assert all(offset is not None and abs(offset) < 20 for offset in before)
    new = [m for m in found if m.answer.offset_ms is not None and m.answer.offset_ms > 160]
    assert new[0].at_s + 0.8 - moved_at <= 3.0
    assert [m.at_s for m in found if m.answer.changed] == [new[0].at_s]
    assert all(m.answer.offset_ms == pytest.approx(200, abs=15) for m in found[len(found) - 6 :])
    assert found[-1].answer.offset_ms == pytest.approx(200, abs=15)


def test_what_is_held_does_not_grow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is held after the first window is all that is held after ten."""
    held: list[int] = []

    class Counted(RollingEmbeddings):
        def forget(self, stop: int) -> None:
            super().forget(stop)
            held.append(self.held)

    monkeypatch.setattr(measuring, "RollingEmbeddings", Counted)
    video = flicker_video(tmp_path / "a.mp4", seconds=24)
    for part, _ in moments(video, Measuring(fakes.grey(), build_detector("whole"), window_s=4.0)):
        assert part.audio.available <= 3 * 16_000
    assert len(held) == 24
    assert max(held[14:]) <= 1.1 * max(held[4:14])  # a second more or less of the audio


def test_steady_audio_is_no_speech_unless_it_sounds_like_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Music under a voice makes its level steady."""
    noise = np.random.default_rng(0).normal(0, 3000, 4 * 16_000).astype(np.int16)

    def window() -> rolling.Window:
        held = RollingEmbeddings(keep_frames=100, beside_frames=20, rows=4)
        held.add_samples(noise)
        return held.window(0, 100)

    assert window().steady
    monkeypatch.setattr(rolling, "VoiceActivity", Spoken)
    assert not window().steady


def test_silence_is_no_answer(tmp_path: Path) -> None:
    """Nobody listens to noise for speech: the real network for speech says so."""
    video = flicker_video(tmp_path / "a.mp4", seconds=5)
    found = [m.answer for _, m in moments(video, Measuring(fakes.grey(), build_detector("whole")))]
    assert all(a.offset_frames is None and a.verdict == "inconclusive" for a in found)
    assert {a.reason_code for a in found[1:]} == {"no_speech"}
    assert all(a.reason for a in found)


@pytest.mark.integration
def test_real_speech_is_answered_within_three_seconds(clips: Path) -> None:
    """The published answer is +3 frames."""
    with_ = Measuring(load_model(threads=1), build_detector("centerface"))
    found = [m for _, m in moments(clips / "example.avi", with_)]
    for moment in found[2:]:
        assert moment.answer.offset_frames == pytest.approx(3.0, abs=0.4)
        assert moment.answer.confidence > 0.9
    assert all(m.answer.faces == 1 for m in found)
