"""Training and evaluation with every kind of frames and audio that a network may take."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import flicker
from any_network import ByDistance, OwnHead, attentive, classifier, loudness, spec_of, stored_sample
from benchmark_modules import benchmark_modules
from fake_samples import talking_sample
from synctool.data.augment import AugmentSettings, Dose
from synctool.data.samples import Sample
from synctool.data.windows import WindowBatch, WindowSettings, WindowStream
from synctool.features import inputs
from synctool.features.frontends import FRONT_ENDS
from synctool.features.video_input import prepared
from synctool.measure.audio_encoder import AudioEncoder
from synctool.measure.encode_clip import encode_crops
from synctool.measure.face_encoder import FaceEncoder
from synctool.models.correlation import correlate
from synctool.plugins.specs import BackboneSpec
from synctool.runtimes.torch import TorchRuntime
from synctool.training.calibration import in_memory, known_segments
from synctool.training.losses.base import pooled
from synctool.training.losses.loss_inputs import embeddings, head_margin, observe, volume_head
from synctool.training.losses.objective import DEFAULT_TERMS, SyncObjective, build_objective
from synctool.training.multiway import MAX_OFFSET, multiway
from synctool.training.tasks.task_table import TASKS
from synctool.types import SAMPLES_PER_FRAME

with benchmark_modules("literature.readings", "literature.segment_agreement") as literature:
    WindowReader = literature.readings.WindowReader
    measure = literature.segment_agreement.measure

pytestmark = pytest.mark.integration

KINDS = tuple(FRONT_ENDS)
CENTRES = {"logmel64": 80, "mfcc13": 200, "waveform16k": 0}
"""Sample that the first step of each is centred on."""
MOUTH = {"crop": "mouth", "size_px": 72, "colour": "gray"}
FACE = {"crop": "face", "size_px": 24, "colour": "bgr", "value_range": (0.0, 255.0)}
NORMAL = {"mean": (0.4, 0.5, 0.6), "std": (0.2, 0.3, 0.4)}
STORED_FACE = {"crop": "face", "size_px": 48, "colour": "rgb"}


def windows(
    samples: list[Sample], spec: BackboneSpec, *, frames: int = 24, **more: object
) -> WindowStream:
    settings = WindowSettings(
        frames=frames,
        batch=6,
        max_offset=15,
        margin=5,
        video=spec.video,
        audio=spec.audio,
        **{"strength": 0.0, **more},
    )
    people = [s.info.speaker or s.info.key for s in samples]
    return WindowStream(samples, settings, constants=None, people=people, seed=3)


# ------------------------------------------------------------------------------------ the windows


@pytest.mark.parametrize(
    ("kind", "strength", "stored", "wanted", "channels"),
    [
        # Crops and colours, as one kind of audio goes with any of them ...
        ("logmel64", 1.0, {}, MOUTH, 1),
        ("logmel64", 1.0, {"colour": "rgb"}, {**MOUTH, "colour": "rgb"}, 3),
        ("logmel64", 1.0, {"colour": "rgb"}, MOUTH, 1),
        ("logmel64", 1.0, STORED_FACE, FACE, 3),
        ("logmel64", 1.0, STORED_FACE, {**FACE, "colour": "gray"}, 1),
        (
            *("logmel64", 0.0, {**STORED_FACE, "colour": "gray"}),
            *({**FACE, "colour": "gray", **NORMAL}, 1),
        ),
        # ... and the other kinds of audio.
        ("mfcc13", 1.0, {}, MOUTH, 1),
        ("waveform16k", 1.0, {}, MOUTH, 1),
    ],
)
def test_windows_have_the_shapes_of_the_contract(
    kind: str, strength: float, stored: dict, wanted: dict, channels: int
) -> None:
    spec = spec_of(kind, **wanted)
    samples = [stored_sample(f"k{i}", i, **stored) for i in range(3)]
    made = windows(samples, spec, strength=strength)
    size = wanted["size_px"]
    for step in range(2):
        batch = made.batch(step)
        clips, frames = batch.video.shape[0], batch.video.shape[2]
        assert batch.video.shape == (clips, channels, frames, size, size)
        assert batch.video.dtype == torch.uint8 and batch.video.is_contiguous()
        assert prepared(batch.video, batch.video_input).shape[1] == spec.video.channels
        assert batch.video_input == spec.video
        inner = {"logmel64": (1, 64), "mfcc13": (1, 13), "waveform16k": ()}[kind]
        heard = batch.audio.shape[-1] // FRONT_ENDS[kind].steps
        assert batch.audio.shape == (clips, *inner, heard * FRONT_ENDS[kind].steps)
        assert frames < heard <= frames + 40
        assert batch.audio.dtype == torch.float32 and torch.isfinite(batch.audio).all()


def flashing(*, frames: int = 200, at: int = 100) -> Sample:
    """A face that lights up in one frame, and a click in the middle of that frame's audio."""
    sample = talking_sample("a", seed=0, frames=frames)
    crops = np.full((frames, 48, 48, 3), 60, np.uint8)
    crops[at] = 220
    rng = np.random.default_rng(0)
    lead = 60 * SAMPLES_PER_FRAME  # so long that no window needs another audio beyond it
    audio = rng.normal(0, 20, frames * SAMPLES_PER_FRAME + 2 * lead).astype(np.int16)
    middle = lead + at * SAMPLES_PER_FRAME + SAMPLES_PER_FRAME // 2
    audio[middle - 40 : middle + 40] += (rng.choice([-1, 1], 80) * 12_000).astype(np.int16)
    info = replace(sample.info, crop="face", size_px=48, colour="rgb", sound_lead=lead)
    return replace(sample, info=info, crops=crops, audio=audio)


@pytest.mark.parametrize("kind", KINDS)
def test_the_event_is_where_the_label_says(kind: str) -> None:
    # Nothing may cover the flash or be louder than the click: what moves things in time matters here.
    calm = AugmentSettings.only(
        *(Dose(n, 1.0) for n in ("shift", "turn", "zoom", "light", "gain", "microphone")),
        Dose("vocal_tract", 1.0),
        Dose("band_masks", 1.0),
    )
    spec = spec_of(kind, **FACE)
    made = windows([flashing()], spec, frames=150, strength=1.0, augment=calm)
    steps, errors = FRONT_ENDS[kind].steps, []
    for step in range(8):
        batch = made.batch(step)
        for i in range(len(batch.video)):
            light = batch.video[i].float().mean((0, 2, 3))
            if light.max() < light.median() + 40:
                continue  # the window ends before the flash
            expected = int(light.argmax()) - float(batch.offset_frames[i]) + batch.audio_lead
            if not 2 <= expected <= batch.audio.shape[-1] // steps - 3:
                continue  # the audio was cut there
            level = batch.audio[i].abs() if kind == "waveform16k" else batch.audio[i, 0]
            level = level[0] if kind == "mfcc13" else level.mean(0) if level.ndim == 2 else level
            if level.max() == level.min():
                continue  # just this coefficient is blanked
            found = torch.nonzero(level > (level.max() + level.median()) / 2)[:, 0].float().mean()
            samples = float(found) * SAMPLES_PER_FRAME / steps + CENTRES[kind]
            errors.append(samples / SAMPLES_PER_FRAME - 0.5 - expected)
    assert len(errors) >= 12
    assert np.abs(errors).max() < 0.2 and abs(np.mean(errors)) < 0.05


@pytest.mark.parametrize("kind", KINDS)
def test_features_of_a_window_are_those_of_its_audio(kind: str) -> None:
    """A window of a long clip, unmoved: the features are the front end's of this segment, exactly."""
    sample = stored_sample("a", 0, frames=300)
    spec = spec_of(kind)
    offsets = [[0]]
    settings = windows([sample], spec)._settings
    made = WindowStream([sample], settings, constants=None, people=["a"], seed=0, offsets=offsets)
    batch, front, pad = made.batch(0), FRONT_ENDS[kind], 20
    frames = batch.video.shape[2]
    clip = torch.from_numpy(sample.crops[:, 12:-12, 12:-12])
    found = 0
    for i in range(len(batch.video)):
        same = (clip.unfold(0, frames, 1).movedim(-1, 1) == batch.video[i, 0]).flatten(1).all(1)
        first = int(torch.nonzero(same)[0, 0])
        if not pad + 1 <= first <= 300 - frames - pad - 1:
            continue
        begin = (first - pad) * SAMPLES_PER_FRAME - front.before
        length = front.before + (frames + 2 * pad) * SAMPLES_PER_FRAME + front.after
        audio = sample.audio[begin : begin + length].astype(np.float32) / 32768
        whole = torch.from_numpy(front.compute(front.at_level(audio)))
        cut = front.steps * (pad - batch.audio_lead)
        assert torch.equal(whole[..., cut : cut + batch.audio.shape[-1]], batch.audio[i])
        found += 1
    assert found


def test_a_stream_for_any_audio_can_be_sent_to_a_worker() -> None:
    made = windows([stored_sample("a", 0)], spec_of("waveform16k"))
    again = pickle.loads(pickle.dumps(made))
    assert torch.equal(made.batch(1).audio, again.batch(1).audio)


@pytest.mark.parametrize("stored", [{"colour": "rgb"}, STORED_FACE])
def test_the_shades_of_a_held_out_speakers_come_at_the_networks_scale(stored: dict) -> None:
    wanted = MOUTH if stored.get("crop") != "face" else {**FACE, "colour": "rgb"}
    samples = [stored_sample(f"k{i}", i, **stored) for i in range(2)]
    shades = AugmentSettings.only(Dose("shades", 1.0))
    plain = windows(samples, spec_of(**wanted)).batch(0)
    shaded = windows(samples, spec_of(**wanted), strength=1.0, augment=shades).batch(0)
    assert plain.video.shape == shaded.video.shape
    assert not torch.equal(plain.video, shaded.video)


# --------------------------------------------------------------------------------------- objectives

SPECS = [
    spec_of("logmel64"),
    spec_of("mfcc13", **FACE),
    spec_of("waveform16k", colour="gray", **NORMAL),
]
MODELS = [classifier, ByDistance, lambda spec: classifier(spec, OwnHead)]
STORED = {"mouth": {}, "face": STORED_FACE}


def talking_batch(spec: BackboneSpec, step: int = 0, **more: object) -> WindowBatch:
    samples = [stored_sample(f"k{i}", i, frames=60, **STORED[spec.video.crop]) for i in range(6)]
    return windows(samples, spec, **more).batch(step)


@pytest.mark.parametrize("spec", SPECS, ids=lambda s: s.audio.kind)
@pytest.mark.parametrize("make", MODELS, ids=["cosines", "distances", "own head"])
def test_the_default_losses_train_every_kind_of_network(spec: BackboneSpec, make) -> None:
    model, batch = make(spec), talking_batch(spec)
    loss, parts = SyncObjective(terms=DEFAULT_TERMS, max_offset=15)(model, batch)
    assert torch.isfinite(loss) and "local" not in parts and {"plain", "head"} <= set(parts)
    loss.backward()
    slopes = [p for n, p in model.named_parameters() if n.endswith("slope")]
    assert len(slopes) == 2 and all(p.grad.abs().sum() > 0 for p in slopes)
    seen = observe(model, batch, max_offset=15)
    found = pooled(seen.volume("plain"), batch.video.shape[2])[..., 0].argmax(1) - 15
    error = (found - batch.offset_frames).abs()
    assert (error <= 1).float().mean() > 0.8


def test_a_network_that_scores_by_itself() -> None:
    spec = SPECS[1]
    model, batch = ByDistance(spec), talking_batch(spec)
    assert volume_head(model) is None and head_margin(model) == 0
    seen = observe(model, batch, max_offset=7)
    video = prepared(batch.video, batch.video_input)
    raw = model.encode_audio(batch.audio), model.encode_video(video)
    scores = model.score(*raw, max_offset=7, audio_lead=batch.audio_lead)
    assert torch.equal(seen.volume("plain"), scores) and torch.equal(seen.volume("head"), scores)
    assert seen.scale.item() == 1.0 and list(seen.volumes) == ["plain", "head", "foreign"]
    for features in (seen.video_features, seen.audio_features, *embeddings(model, batch)):
        assert torch.allclose(features.norm(dim=1), torch.ones(()), atol=1e-4)
    cosines = seen.cosines("plain")
    expected, inside = correlate(
        seen.audio_features, seen.video_features, max_offset=7, audio_lead=batch.audio_lead
    )
    assert torch.equal(cosines[:, inside], expected[:, inside])
    assert torch.isneginf(cosines[:, ~inside]).all()


def test_the_head_counts_only_where_it_scores() -> None:
    usual = classifier(SPECS[0])
    assert volume_head(usual) is usual.head and head_margin(usual) == usual.head.margin
    own = classifier(SPECS[0], OwnHead)
    assert volume_head(own) is None
    seen = observe(own, talking_batch(SPECS[0]), max_offset=7)
    assert torch.equal(seen.volume("plain"), seen.volume("head"))


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize(
    ("spec", "make"),
    [(SPECS[0], classifier), (SPECS[1], ByDistance), (SPECS[2], classifier)],
    ids=["cosines", "distances", "waveform"],
)
def test_tasks_without_labels_take_every_input(task: str, spec: BackboneSpec, make) -> None:
    torch.manual_seed(0)
    model, batch = make(spec), talking_batch(spec, views=TASKS[task].views)
    objective = build_objective(task, terms=(), max_offset=15, embedding=5, model=model)
    loss, parts = objective(model, batch)
    assert torch.isfinite(loss) and parts
    loss.backward()
    slopes = [p for n, p in model.named_parameters() if n.endswith("slope")]
    assert all(p.grad.abs().sum() > 0 for p in slopes)


# --------------------------------------------------------------------------------------- evaluation


def clips(spec: BackboneSpec, count: int = 3, **more: object) -> list[Sample]:
    kept = STORED[spec.video.crop]
    return [
        stored_sample(f"k{i}", i, frames=45, speaker=f"p{i}", **kept, **more) for i in range(count)
    ]


@pytest.mark.parametrize("spec", SPECS, ids=lambda s: s.audio.kind)
@pytest.mark.parametrize("make", MODELS, ids=["cosines", "distances", "own head"])
@torch.no_grad()
def test_multiway_accuracy_of_every_kind_of_network(spec: BackboneSpec, make) -> None:
    model = make(spec)
    figures = multiway(model, clips(spec, 2), spec=spec, true_offset=lambda _: 0.0)
    assert figures["head_clip"] == 1.0 and figures["head_5"] > 0.7
    if volume_head(model) is None:
        assert figures["plain_5"] == figures["head_5"]
    late = clips(spec, 2, late_frames=4)
    figures = multiway(model, late, spec=spec, true_offset=lambda _: -4.0)
    assert figures["plain_clip"] == 1.0


@pytest.mark.parametrize("spec", SPECS, ids=lambda s: s.audio.kind)
@torch.no_grad()
def test_cut_windows_of_a_network_that_scores_by_itself(spec: BackboneSpec) -> None:
    """Every window with every audio by itself, as if there were nothing else."""
    model, (sample, other) = ByDistance(spec), clips(spec, 2)
    reader = WindowReader(model, sample, other.audio, spec=spec)
    scores = reader.readings((5, 8))
    video, audio = prepared(reader._video(), spec.video), reader._audio(MAX_OFFSET, 0)
    steps = FRONT_ENDS[spec.audio.kind].steps
    for n in (5, 8):
        for window, offset in ((0, -15), (3, 2), (sample.info.num_frames - n, 15)):
            at = steps * (window - offset + MAX_OFFSET)
            heard = model.encode_audio(audio[None, ..., at : at + steps * n])
            seen = model.encode_video(video[:, :, window : window + n])
            expected = model.score(heard, seen, max_offset=0).mean()
            assert scores["cut", n][15 + offset, window].item() == pytest.approx(
                expected.item(), abs=1e-4
            )
    assert torch.equal(scores["alone", 5], scores["cut", 5])
    right = (scores["cut", 8].argmax(0) - 15).abs() <= 1
    assert right.float().mean() > 0.8


@torch.no_grad()
def test_a_head_that_looks_at_further_volumes_is_given_them() -> None:
    spec = SPECS[0]
    model, batch = attentive(spec), talking_batch(spec)
    shown = prepared(batch.video, batch.video_input)
    expected = model(batch.audio, shown, max_offset=7, audio_lead=batch.audio_lead).logits
    assert torch.allclose(observe(model, batch, max_offset=7).volume("head"), expected, atol=1e-5)
    sample, other = clips(spec, 2)
    reader = WindowReader(model, sample, other.audio, spec=spec)
    scores = reader.readings((6,))["cut", 6]
    video, audio, margin = prepared(reader._video(), spec.video), reader._audio(15, 0), 8
    assert model.head.margin == margin
    for window in (0, 20):
        seen = model.encode_video(video[:, :, window : window + 6])
        starts = [4 * (window - offset + 15) for offset in range(-15, 16)]
        heard = torch.cat([model.encode_audio(audio[None, ..., s : s + 24]) for s in starts])
        pairs = [(heard, seen), *model.head.further(heard, seen)]
        volumes = [F.pad((a * v).sum(1)[None], (0, 0, margin, margin)) for a, v in pairs]
        inside = F.pad(torch.ones(1, 31, 6, dtype=torch.bool), (0, 0, margin, margin))
        refined = model.head.refine(volumes[0], inside, volumes[1:])[0].mean(-1)
        assert torch.allclose(scores[:, window], refined, atol=1e-4)


@pytest.mark.parametrize("spec", SPECS, ids=lambda s: s.audio.kind)
@pytest.mark.parametrize("make", MODELS[:2], ids=["cosines", "distances"])
def test_segments_and_pieces_of_every_kind(spec: BackboneSpec, make) -> None:
    model, samples = make(spec), clips(spec, 3)
    examples = known_segments(
        model, samples, spec=spec, true_offset=lambda _: 0.0, person=lambda s: s.info.speaker
    )
    own = [e for e in examples if not e.foreign and e.estimate.frames >= 20]
    assert len(own) >= 3 and np.mean([e.correct for e in own]) > 0.8
    moved = samples[0].audio[3 * SAMPLES_PER_FRAME :]
    answer = measure(in_memory(model, spec), samples[0].crops, moved, stored=samples[0].info)
    assert answer.offset_frames == pytest.approx(3.0, abs=0.5)


@pytest.mark.parametrize("frames", [1, 7, 16, 17, 40])
def test_large_frames_are_encoded_in_pieces(frames: int, monkeypatch) -> None:
    spec = SPECS[1]
    network, sample = ByDistance(spec), stored_sample("a", 0, frames=60, **STORED_FACE)
    seen: list[int] = []

    def counted(module: nn.Module, given: tuple[torch.Tensor, ...]) -> None:
        seen.append(given[0].shape[2])

    network.seeing.register_forward_pre_hook(counted)
    model = in_memory(network, spec)
    whole = encode_crops(model, sample.crops[:frames], sample.info).rows
    monkeypatch.setattr(inputs, "_MOST_PIXELS", 1)
    pieces = encode_crops(model, sample.crops[:frames], sample.info).rows
    assert np.allclose(whole, pieces, rtol=2e-3, atol=2e-3) and whole.shape == (5, frames)
    assert seen[0] == frames and max(seen[1:]) <= 16 + 2 * 2
    assert (len(seen) > 2) == (frames > 16)


# ------------------------------------------------------------------------------------ the videos


def test_chunks_are_not_shorter_than_their_context() -> None:
    far = replace(
        spec_of("waveform16k", **FACE),
        receptive_field_frames=109,
        audio_receptive_field_frames=401,
    )
    runtime = TorchRuntime(flicker.Flicker(), torch.device("cpu"))
    wide = replace(far, video=replace(far.video, size_px=224))
    for spec in (far, wide):
        face = FaceEncoder(runtime=runtime, spec=spec, first_frame=0)
        assert face._chunk >= 108
    near = replace(wide, receptive_field_frames=5)
    face = FaceEncoder(runtime=runtime, spec=near, first_frame=0)
    assert face._chunk == 8
    audio = AudioEncoder(runtime=runtime, spec=far)
    assert audio._chunk >= 401


def test_loudness_is_heard_in_every_kind_of_features() -> None:
    sample = talking_sample("a", seed=0)
    levels = []
    for kind in KINDS:
        front = FRONT_ENDS[kind]
        padded = np.pad(sample.audio, (front.before, front.after))
        features = torch.from_numpy(front.compute(padded))[None]
        levels.append(loudness(features, kind)[0].numpy())
        assert levels[-1].shape == (40,)
    assert np.corrcoef(levels).min() > 0.9
