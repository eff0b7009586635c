"""Embeddings and score volumes made piecemeal are those made in one go."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from torch import nn

import flicker
from synctool.faces.tracking import Pose
from synctool.features.frontends import FRONT_ENDS
from synctool.features.inputs import as_input
from synctool.measure import audio_encoder, volumes
from synctool.measure.audio_encoder import AudioEncoder
from synctool.measure.embeddings import AudioEmbeddings, FaceEmbeddings
from synctool.measure.face_encoder import FaceEncoder, crop_for
from synctool.measure.timing import Stopwatch
from synctool.media.frame_reader import TimelineFrame
from synctool.networks.build import build
from synctool.networks.loaded import LoadedModel
from synctool.plugins.specs import BackboneSpec, VideoInput
from synctool.runtimes.torch import TorchRuntime
from synctool.scoring.confidence import UNCALIBRATED, Certainty
from synctool.types import SAMPLES_PER_FRAME

CPU = torch.device("cpu")
HALF = 2e-3
"""Embeddings are kept as float16."""
SMALL = {"fcn-cls": {"width": 8, "embedding": 32}, "syncnet": {}, "flicker": {}}


@pytest.fixture(autouse=True, scope="module")
def fake_network() -> Iterator[None]:
    with flicker.installed():
        yield


@pytest.fixture(scope="module")
def model() -> Callable[[str], LoadedModel]:
    """Networks with random weights by name, whose answers vary with their input; built once."""
    made: dict[str, LoadedModel] = {}

    def get(name: str) -> LoadedModel:
        if name not in made:
            with torch.random.fork_rng():
                torch.manual_seed(3)
                spec, network = build(name, **SMALL[name])
                model = LoadedModel(spec, TorchRuntime(network, CPU), "random", UNCALIBRATED, 0.0)
                enliven(model)
            made[name] = model
        return made[name]

    return get


@torch.no_grad()
def enliven(model: LoadedModel) -> None:
    """Leave no layer idle, and let normalisations see data; untrained ones flatten everything."""
    for module in model.network.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.momentum = 1.0
    for parameter in model.network.parameters():
        if not parameter.any():
            parameter.normal_(std=0.1)
    model.network.train()
    seen_at_once(model, 4)
    heard_at_once(model, some_audio(4))
    model.network.eval().requires_grad_(False)


def face_images(frames: int, size: int = 80) -> list[TimelineFrame]:
    noise = np.random.default_rng(0).integers(0, 256, (frames, size, size, 3), np.uint8)
    return [TimelineFrame(i, noise[i, ..., 0], noise[i], 1.0) for i in range(frames)]


POSE = Pose(
    np.array([10.0, 5.0, 70.0, 75.0]),
    np.array([[28.0, 33], [52, 33], [40, 47], [31, 59], [49, 59]]),
)


def seen_piecemeal(model: LoadedModel, frames: int) -> FaceEncoder:
    """A face whose crops come one by one, encoded as soon as a chunk is there."""
    face = FaceEncoder(runtime=model.runtime, spec=model.spec, first_frame=0)
    most = 0
    for image in face_images(frames):
        face.add(image, POSE)
        if face.ready:
            face.encode()
        most = max(most, len(face._crops))
    face.encode(last=True)
    assert most <= face._chunk + 2 * face._context + 1, "crops must not pile up"
    assert not face.waiting
    return face


def seen_at_once(model: LoadedModel, frames: int) -> np.ndarray:
    wanted = model.spec.video
    crops = np.stack([crop_for(wanted, image, POSE) for image in face_images(frames)])
    return model.runtime.encode_video(as_input(crops, wanted))[0]


def alike(got: np.ndarray, wanted: np.ndarray) -> None:
    assert got.shape == wanted.shape
    scale = max(1.0, float(np.abs(wanted).max()))
    np.testing.assert_allclose(got.astype(np.float32), wanted, rtol=0, atol=HALF * scale)


def varies(embeddings: np.ndarray) -> None:
    assert embeddings.std(axis=1).max() > 10 * HALF, "a comparison of constants proves nothing"


@pytest.mark.integration
@pytest.mark.parametrize("frames", [1, 64, 71, 135])
def test_a_face_in_chunks_is_the_face_in_one_go(model, frames: int) -> None:
    network = model("fcn-cls")
    face = seen_piecemeal(network, frames)
    wanted = seen_at_once(network, frames)
    if frames > 5:
        varies(wanted)
    alike(face.embeddings(), wanted)
    assert face.embeddings().dtype == np.float16
    assert face.frames == frames


@pytest.mark.integration
def test_syncnet_in_chunks(model) -> None:
    network = model("syncnet")
    wanted = seen_at_once(network, 11)
    varies(wanted)
    alike(seen_piecemeal(network, 11).embeddings(), wanted)


def test_the_last_crops_may_be_encoded_early(model) -> None:
    """A face that leaves the video is finished at once, and finishing twice changes nothing."""
    face = seen_piecemeal(model("flicker"), 30)
    before = face.embeddings().copy()
    face.encode(last=True)
    np.testing.assert_array_equal(face.embeddings(), before)


def test_boxes_are_kept_once_a_second_in_pixels_of_the_source(model) -> None:
    face = FaceEncoder(runtime=model("flicker").runtime, spec=flicker.SPEC, first_frame=7)
    for image in face_images(51):
        face.add(TimelineFrame(image.index, image.luma, None, 0.5), POSE)
    assert len(face.boxes) == 3
    np.testing.assert_allclose(face.boxes[0], 2 * POSE.box)


# ----------------------------------------------------------------------------------------- audio


def some_audio(frames: float, seed: int = 0) -> np.ndarray:
    count = round(frames * SAMPLES_PER_FRAME)
    random = np.random.default_rng(seed)
    loudness = np.repeat(random.uniform(100, 6000, count // 1000 + 1), 1000)[:count]
    return (random.standard_normal(count) * loudness).clip(-32768, 32767).astype(np.int16)


def heard_piecemeal(
    model: LoadedModel, samples: np.ndarray, *, zero_frames: float = 0.0, piece: int = 3777
) -> np.ndarray:
    """Audio that arrives in odd pieces."""
    encoder = AudioEncoder(
        runtime=model.runtime,
        spec=model.spec,
        delay_samples=round(zero_frames * SAMPLES_PER_FRAME),
    )
    for start in range(0, samples.size, piece):
        encoder.add(samples[start : start + piece])
    encoder.finish()
    return encoder.embeddings()


def heard_at_once(model: LoadedModel, samples: np.ndarray) -> np.ndarray:
    front = FRONT_ENDS[model.spec.audio.kind]
    frames = -(-samples.size // SAMPLES_PER_FRAME)
    leveled = front.at_level(samples) if samples.dtype == np.int16 else samples
    padded = np.pad(
        leveled, (front.before, frames * SAMPLES_PER_FRAME - samples.size + front.after)
    )
    features = torch.from_numpy(front.compute(padded))[None]
    return model.network.encode_audio(features)[0].numpy()


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audio_encoder, "_CHUNK_FRAMES", 16)


@pytest.mark.parametrize("frames", [0.3, 1, 16, 24, 40.5, 77, 80.01])
def test_audio_in_chunks_is_the_audio_in_one_go(model, small_chunks, frames: float) -> None:
    network = model("fcn-cls")
    wanted = heard_at_once(network, some_audio(frames))
    if frames > 5:
        varies(wanted)
    alike(heard_piecemeal(network, some_audio(frames)), wanted)


@pytest.mark.integration
def test_audio_of_syncnet_in_chunks(model, small_chunks) -> None:
    network = model("syncnet")
    wanted = heard_at_once(network, some_audio(45.3))
    varies(wanted)
    alike(heard_piecemeal(network, some_audio(45.3)), wanted)


def test_long_audio_with_the_chunks_of_everyday(model) -> None:
    network = model("flicker")
    alike(heard_piecemeal(network, some_audio(700)), heard_at_once(network, some_audio(700)))


def test_no_audio_at_all_is_no_embedding(model) -> None:
    network = model("fcn-cls")
    size = network.spec.embedding_size
    assert heard_piecemeal(network, np.zeros(0, np.int16)).shape == (size, 0)
    moved_out = heard_piecemeal(network, some_audio(0.5), zero_frames=-3.0)
    assert moved_out.shape == (size, 0)


@pytest.mark.parametrize("zero_frames", [2.0, 0.4, 0.0, -0.35, -3.0])
def test_the_zero_moves_the_audio_by_exactly_that(model, small_chunks, zero_frames: float) -> None:
    network = model("fcn-cls")
    samples = some_audio(50)
    moved = round(abs(zero_frames) * SAMPLES_PER_FRAME)
    leveled = FRONT_ENDS[network.spec.audio.kind].at_level(samples)  # whatever the zero
    if zero_frames >= 0:  # the network reads too much, so the audio is delayed
        wanted = heard_at_once(network, np.pad(leveled, (moved, 0)))
    else:
        wanted = heard_at_once(network, leveled[moved:])
    alike(heard_piecemeal(network, samples, zero_frames=zero_frames), wanted)


# --------------------------------------------------------------------------------------- volumes


def embeddings(dimensions: int, frames: int, seed: int) -> np.ndarray:
    values = np.random.default_rng(seed).standard_normal((dimensions, frames))
    return (values / np.linalg.norm(values, axis=0)).astype(np.float16)


@pytest.mark.parametrize("name", ["fcn-cls", "syncnet"])
@pytest.mark.parametrize("max_offset", [15, 40])
@pytest.mark.parametrize(("first_tick", "audio_frames"), [(0, 200), (37, 130), (150, 160)])
def test_a_volume_in_blocks_is_the_volume_in_one(
    model, monkeypatch, name: str, max_offset: int, first_tick: int, audio_frames: int
) -> None:
    network = model(name)
    size = 32 if name == "fcn-cls" else 1024
    face = FaceEmbeddings(0, first_tick, embeddings(size, 200, 1))
    audio = AudioEmbeddings(embeddings(size, audio_frames, 2))
    monkeypatch.setattr(volumes, "_BLOCK_CELLS", 10**9)
    whole = volumes.score_volume(network, face, audio, max_offset=max_offset)
    monkeypatch.setattr(volumes, "_BLOCK_CELLS", 1)
    parts = volumes.score_volume(network, face, audio, max_offset=max_offset)
    assert whole.shape == (2 * max_offset + 1, 200)
    assert np.nanstd(whole) > 0.01
    np.testing.assert_array_equal(np.isnan(parts), np.isnan(whole))
    np.testing.assert_allclose(parts, whole, rtol=1e-4, atol=1e-4)


def test_only_audio_within_the_video_is_compared(model) -> None:
    """Row K + n of frame t is the audio at t - n: outside the audio there is no score."""
    audio, k, first = AudioEmbeddings(embeddings(32, 20, 2), -5), 15, 5
    face = FaceEmbeddings(0, 0, embeddings(32, 30, 1))
    volume = volumes.score_volume(model("fcn-cls"), face, audio, max_offset=k)
    for row in range(2 * k + 1):
        for t in range(30):
            inside = 0 <= first + t - (row - k) < 20
            assert np.isfinite(volume[row, t]) == inside, (row - k, t)


def test_no_audio_gives_no_scores(model) -> None:
    network = model("fcn-cls")
    encoder = seen_piecemeal(network, 20)
    face = FaceEmbeddings(0, 0, encoder.embeddings(), tuple(encoder.boxes))
    nothing = AudioEmbeddings(np.zeros((face.rows.shape[0], 0), np.float16))
    scores = volumes.score_face(network, face, nothing, max_offset=15)
    assert np.isnan(scores.volume).all()
    assert scores.estimate is None
    assert scores.certainty.confidence == 0.0


# ----------------------------------------------------------------------------------- combination


def scores(number: int, first_tick: int, frames: int, row: int, height: float):
    """A face whose best row is given, in noise."""
    volume = np.random.default_rng(number).normal(0, 1, (31, frames)).astype(np.float32)
    volume[row] += height
    return volumes.FaceScores(
        number, first_tick, np.zeros(4), volume, -volume, None, Certainty(0.0, 0.0)
    )


def combined(faces: list[volumes.FaceScores], frames: int) -> volumes.VideoScores:
    return volumes.combine(faces, frames, max_offset=15, calibration=UNCALIBRATED)


def test_faces_one_after_the_other_are_put_together() -> None:
    one, two = scores(0, 5, 50, 15, 5.0), scores(1, 70, 30, 15, 5.0)
    video_file = combined([one, two], 120)
    np.testing.assert_array_equal(video_file.volume[:, 5:55], one.volume)
    np.testing.assert_array_equal(video_file.distances[:, 70:100], two.distances)
    assert np.isnan(video_file.volume[:, [0, 4, 55, 69, 100, 119]]).all()
    assert video_file.coverage == pytest.approx(80 / 120)


@pytest.mark.parametrize("turned", [False, True])
def test_of_two_faces_the_one_that_fits_is_heard(turned: bool) -> None:
    silent, speaking = scores(0, 0, 150, 3, 0.0), scores(1, 10, 130, 18, 6.0)
    faces = [speaking, silent] if turned else [silent, speaking]
    video_file = combined(faces, 150)
    chosen = (video_file.volume[:, 10:140] == speaking.volume).all(0)
    assert chosen.mean() > 0.95
    assert video_file.coverage == 1.0, "where it is not there, the other one is"


def test_no_face_no_coverage() -> None:
    video_file = combined([], 40)
    assert video_file.coverage == 0.0
    assert np.isnan(video_file.volume).all()


def test_a_face_that_outlasts_the_video_is_cut() -> None:
    video_file = combined([scores(0, 10, 50, 15, 5.0)], 40)
    assert video_file.volume.shape == (31, 40)
    assert video_file.coverage == pytest.approx(30 / 40)


# ------------------------------------------------------------------------------------------ input


def test_pixels_are_mapped_as_the_contract_says() -> None:
    crops = np.array([0, 51, 255], np.uint8).repeat(4).reshape(3, 2, 2)
    gray = VideoInput(crop="face", size_px=2, colour="gray", value_range=(-1.0, 1.0))
    assert as_input(crops, gray).shape == (1, 1, 3, 2, 2)
    np.testing.assert_allclose(as_input(crops, gray)[0, 0, :, 0, 0], [-1.0, -0.6, 1.0], atol=1e-6)
    colour = VideoInput(
        crop="face", size_px=2, colour="bgr", mean=(0.0, 0.2, 0.4), std=(1.0, 0.5, 2.0)
    )
    mapped = as_input(np.repeat(crops[..., None], 3, -1), colour)
    assert mapped.shape == (1, 3, 3, 2, 2)
    np.testing.assert_allclose(mapped[0, :, 1, 0, 0], [0.2, 0.0, -0.1], atol=1e-6)


@pytest.mark.parametrize("colour", ["gray", "rgb"])
@pytest.mark.parametrize("crop", ["mouth", "face"])
def test_crops_have_the_size_and_colours_asked_for(crop: str, colour: str) -> None:
    wanted = VideoInput(crop=crop, size_px=24, colour=colour)
    made = crop_for(wanted, face_images(1)[0], POSE)
    assert made.shape == ((24, 24) if colour == "gray" else (24, 24, 3))
    assert made.dtype == np.uint8


def test_the_stopwatch_gives_all_time_to_somebody() -> None:
    watch = Stopwatch()
    for name in ("a", "b", "a", ""):
        watch.now(name)
    watch.now("")
    assert set(watch.seconds) == {"a", "b"}
    assert all(seconds >= 0 for seconds in watch.seconds.values())


def test_specs_tell_how_far_a_network_looks(model) -> None:
    spec: BackboneSpec = model("fcn-cls").spec
    assert spec.receptive_field_frames % 2 == 1
    assert spec.audio_receptive_field_frames % 2 == 1
