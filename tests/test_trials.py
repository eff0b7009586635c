"""Trials: the audio moved in memory is the audio moved in the video."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import flicker_models as fakes
from fake_volumes import volume_of
from flicker import flicker_video
from synctool.comparison import trials as trials_module
from synctool.comparison.conditions import piece_conditions, shift_conditions
from synctool.comparison.trials import failed_trial, peak_memory_mb, trials, true_offset
from synctool.errors import UsageError
from synctool.features.voice_activity import SPEECH, speech_probability
from synctool.features.voicing import Voicing
from synctool.measure import audio_encoder
from synctool.measure.detect import Detector
from synctool.measure.embeddings import EncodedVideo
from synctool.measure.encode import encode
from synctool.models.correlation import inside_audio
from synctool.networks.build import build
from synctool.networks.load import load_model
from synctool.networks.loaded import LoadedModel
from synctool.networks.names import model_spec
from synctool.scoring.right_windows import LENGTHS, least_offset, right_windows
from synctool.types import SAMPLES_PER_FRAME, Condition, FrameSeries, Label, Segment, Trial
from videos import with_moved_audio

pytestmark = pytest.mark.integration

FINE = 0.15
AHEAD = 1.0
"""Frames by which the audio of the video is ahead."""
KNOWN = Label(AHEAD)


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("films") / "a.mkv"
    return flicker_video(path, ahead_frames=AHEAD, seconds=6)


@pytest.fixture(scope="module")
def model() -> LoadedModel:
    return fakes.grey()


@pytest.fixture(scope="module")
def encoded(video: Path, model: LoadedModel) -> EncodedVideo:
    return encode(video, [model], detector="whole", keep_samples=True, isolated=True)


@pytest.fixture
def tried(encoded: EncodedVideo, model: LoadedModel) -> Callable[..., list[Trial]]:
    def run(*conditions: Condition, label: Label = KNOWN, **how: object) -> list[Trial]:
        return list(trials(encoded, [model], conditions, label, film="a.mkv", **how))

    return run


def untimed(trial: Trial) -> Trial:
    return replace(trial, seconds=0.0, memory_mb=None)


# ------------------------------------------------------------------------------------------ shifts


@pytest.mark.parametrize("moved", [10, -10, 2.5, -0.35, 0, 1 / SAMPLES_PER_FRAME])
def test_the_answer_moves_with_the_audio(tried, moved: float) -> None:
    (trial,) = tried(Condition("shift", moved))
    assert trial.truth_frames == AHEAD + moved
    assert trial.error_frames == pytest.approx(0, abs=FINE)
    assert trial.answered and trial.confidence > 0.8 and trial.error is None
    assert trial.film == "a.mkv" and trial.label == Label(AHEAD)
    best = trial.curve.index(max(x for x in trial.curve if x is not None))
    assert best - 15 == pytest.approx(AHEAD + moved, abs=0.51)
    assert len(trial.curve) == 31
    assert trial.frames == FrameSeries((), (), ())
    assert trial.duration_s == pytest.approx(6, abs=0.1)
    (segment,) = trial.segments
    assert segment.offset_frames == pytest.approx(AHEAD + moved, abs=FINE)
    assert 0 < trial.seconds < 60
    assert trial.memory_mb == pytest.approx(peak_memory_mb(), rel=0.5)


@pytest.mark.parametrize("moved", [4.0, 1.3, 2.5])
def test_a_move_in_memory_is_a_move_in_the_video(
    tried, model, video: Path, tmp_path: Path, moved: float
) -> None:
    """The video's audio now begins before its frame; all of it is compared as before."""
    with_moved_audio(video, tmp_path / "moved.mkv", ahead_ms=40 * moved)
    result = Detector(model=model, detector="whole").detect(tmp_path / "moved.mkv")
    (trial,) = tried(Condition("shift", moved))
    assert trial.offset_frames == pytest.approx(result.offset_frames, abs=1e-4)
    assert trial.confidence == pytest.approx(result.confidence, abs=1e-4)
    assert trial.verdict == result.verdict
    assert trial.lse_c == pytest.approx(result.syncnet_confidence, abs=1e-4)
    assert trial.lse_d == pytest.approx(result.min_distance, abs=1e-4)


@pytest.mark.parametrize("moved", [-4.0, -2.5])
def test_a_delay_in_memory_is_a_delay_in_the_video(
    tried, model, video: Path, tmp_path: Path, moved: float
) -> None:
    """A video has silence before its late audio, which is compared; in memory there is nothing."""
    with_moved_audio(video, tmp_path / "moved.mkv", ahead_ms=40 * moved)
    result = Detector(model=model, detector="whole").detect(tmp_path / "moved.mkv")
    (trial,) = tried(Condition("shift", moved))
    assert trial.offset_frames == pytest.approx(result.offset_frames, abs=0.02)
    assert trial.verdict == result.verdict


@pytest.mark.parametrize(
    "name",
    ["fcn-attn", "fcn-cls", "fcn-pyramid", "fcn-reg", "fcn-transformer", "syncnet"],
)
def test_every_head_takes_audio_that_begins_later(name: str) -> None:
    spec, network = build(name, **model_spec(name).small)
    network.eval()
    for frames, length, late in ((40, 50, 10), (40, 50, 60), (150, 150, 10), (40, 3, 20)):
        heard, seen = (torch.randn(1, spec.embedding_size, n) for n in (length, frames))
        with torch.inference_mode():
            (volume,) = network.score(heard, seen, max_offset=15, audio_lead=-late)
        assert torch.equal(volume.isfinite(), inside_audio(frames, length, 15, -late))


def test_a_real_video_with_the_default_network(clips: Path) -> None:
    """Published: the audio is three frames ahead."""
    network = load_model("fcn-cls", device="cpu")
    example = encode(
        clips / "example.avi", [network], detector="whole", keep_samples=True, isolated=True
    )
    conditions = [
        *(Condition(), *(Condition("shift", moved) for moved in (-10.0, 7.25))),
        *piece_conditions(example.frames, 3.0, 2, audio_samples=example.samples.size),
    ]
    plain, *others = trials(example, [network], conditions, Label(3.0), film="example.avi")
    assert plain.offset_frames == pytest.approx(3, abs=1) and plain.answered
    for trial in others:
        moved = trial.condition.moved_frames
        limit = 0.3 if trial.condition.kind == "shift" else 1.0
        assert trial.offset_frames - moved == pytest.approx(plain.offset_frames, abs=limit)
    right, count = plain.windows[15]
    assert right > 0.9 * count > 200


def test_moves_by_whole_frames_move_the_curve_and_nothing_else(tried) -> None:
    still, ahead, behind = tried(*(Condition("shift", float(n)) for n in (0, 5, -5)))
    for moved, n in ((ahead, 5), (behind, -5)):
        assert moved.offset_frames == pytest.approx(still.offset_frames + n, abs=1e-3)
        assert moved.lse_d == pytest.approx(still.lse_d, abs=1e-6)


def test_the_voiced_share_is_that_of_the_segment_and_moves_with_the_audio(
    clips: Path, model
) -> None:
    encoded = encode(clips / "example.avi", [model], keep_samples=True)
    conditions = [Condition(), Condition("shift", 3.0), Condition("piece", 0.0, 2.0, 4.0)]
    whole, moved, piece = trials(encoded, [model], conditions, Label(), film="f")
    voicing, speech = Voicing(), speech_probability(encoded.samples, 317)
    voicing.add(encoded.samples)
    voiced = voicing.frames(317)
    spoken = speech >= SPEECH
    assert whole.voiced_share == pytest.approx(voiced[: len(spoken)][spoken].mean(), abs=0.01)
    assert moved.voiced_share == pytest.approx(whole.voiced_share, abs=0.02)
    assert piece.voiced_share == pytest.approx(voiced[50:100][spoken[50:100]].mean(), abs=0.01)


def test_missing_audio_is_no_audio(tried, encoded) -> None:
    """Of a waveform that is moved far only the part that is left counts."""
    far = 20
    half = replace(encoded, samples=encoded.samples[: 80 * SAMPLES_PER_FRAME])
    (trial,) = trials(
        half, [fakes.grey()], [Condition("shift", far)], Label(), film="a", max_offset=30,
        keep_frames=True,
    )  # fmt: skip
    assert trial.offset_frames == pytest.approx(AHEAD + far, abs=FINE)
    seen = [i for i, offset in enumerate(trial.frames.offset_frames) if offset is not None]
    # Audio is left for the ticks -20 to 60, and candidates reach 30 frames further.
    assert max(seen) < 60 + 30 + 25
    assert len(trial.frames.t_s) == encoded.frames


def test_a_video_without_any_audio_left(encoded, model) -> None:
    deaf = replace(encoded, samples=np.zeros(0, np.int16))
    conditions = [Condition(), Condition("shift", 3.0), Condition("piece", 0.0, 0.0, 2.0)]
    for trial in trials(deaf, [model], conditions, Label(AHEAD), film="a"):
        assert (trial.verdict, trial.reason) == ("inconclusive", "the audio is silent")
        assert trial.offset_frames is None and trial.lse_d is None and not trial.answered
        assert (trial.curve, trial.windows, trial.segments) == ((), {}, ())
        assert trial.coverage == 1.0 and trial.error is None


def test_the_margins_of_a_clip_are_heard(encoded, model) -> None:
    """A clip's audio begins before its first frame."""
    lead = 12 * SAMPLES_PER_FRAME + 100
    early = np.concatenate([np.full(lead, 9, np.int16), encoded.samples])
    clip = replace(encoded, samples=early, samples_at=-lead)
    conditions = [Condition(), Condition("shift", -3.5), Condition("piece", 2.5, 0.0, 3.0)]
    with_it, without = (
        list(trials(r, [model], conditions, Label(), film="a")) for r in (clip, encoded)
    )
    for a, b in zip(with_it, without):
        assert a.offset_frames == pytest.approx(b.offset_frames, abs=FINE)
    assert untimed(with_it[2]) == untimed(without[2]), "a piece hears its own audio only"


def test_audio_is_encoded_once_for_all_moves_by_whole_frames(tried, monkeypatch) -> None:
    made = []
    finish = audio_encoder.AudioEncoder.finish

    def counted(self) -> None:
        made.append(self)
        finish(self)

    monkeypatch.setattr(audio_encoder.AudioEncoder, "finish", counted)
    moves = [-5, 0, 5, 0.25, 2.25, 0.5, 5]
    several = tried(Condition(), *(Condition("shift", float(m)) for m in moves))
    assert len(made) == 3
    for move, trial in zip(moves, several[1:]):
        (alone,) = tried(Condition("shift", float(move)))
        assert untimed(trial) == untimed(alone)


def test_a_second_run_gives_the_same(video: Path, model) -> None:
    conditions = [Condition(), *shift_conditions("random:2", 3), *piece_conditions(150, 2, 3)]
    first, second = (
        [
            untimed(t)
            for t in trials(
                encode(video, [model], detector="whole", keep_samples=True, isolated=True),
                [model],
                conditions,
                Label(),
                film="a",
            )
        ]
        for _ in range(2)
    )
    assert len(first) == 6
    assert first == second
    assert Trial.from_dict(first[0].to_dict()) == first[0]


def test_networks_take_turns(encoded, model) -> None:
    """Condition by condition; any of the recorded networks, in any order."""
    twin = fakes.grey("twin")
    both = replace(encoded, models=(*encoded.models, replace(encoded.models[0], backbone="twin",
                   weights=twin.weights)))  # fmt: skip
    conditions = [Condition(), Condition("shift", 2.0)]
    found = list(trials(both, [twin, model], conditions, Label(), film="a"))
    assert [(t.backbone, t.condition.kind) for t in found] == [
        *(("twin", "plain"), ("flicker", "plain")),
        *(("twin", "shift"), ("flicker", "shift")),
    ]
    assert found[0].frames == found[1].frames != FrameSeries((), (), ())
    (alone,) = trials(both, [twin], [Condition()], Label(), film="a")
    assert untimed(alone) == untimed(found[0])


# ------------------------------------------------------------------------------------------ pieces


def test_pieces_agree(tried, encoded) -> None:
    conditions = piece_conditions(encoded.frames, 2.0, 1, audio_samples=encoded.samples.size)
    pieces = tried(*conditions)
    assert [(t.condition.start_s, t.condition.end_s) for t in pieces] == [(0, 2), (2, 4), (4, 6)]
    assert len({t.condition.moved_frames for t in pieces}) == 3
    for trial in pieces:
        assert trial.condition.kind == "piece"
        assert trial.error_frames == pytest.approx(0, abs=0.5)
        assert trial.duration_s == 2.0 and trial.coverage == 1.0
        for segment in trial.segments:
            assert 0 <= segment.start_s < segment.end_s <= 2.0, "in the time of the piece"


def test_a_piece_hears_its_own_audio_only(tried, encoded, model) -> None:
    piece = Condition("piece", 2.5, 2.0, 4.0)
    (trial,) = tried(piece, keep_frames=True)
    begin, end = round(52.5 * SAMPLES_PER_FRAME), round(102.5 * SAMPLES_PER_FRAME)
    other = encoded.samples.copy()
    other[:begin], other[end:] = 30_000, -30_000
    noisy = replace(encoded, samples=other)
    (same,) = trials(noisy, [model], [piece], Label(AHEAD), film="a.mkv", keep_frames=True)
    assert untimed(same) == untimed(trial)
    other[begin] = 30_000
    (changed,) = trials(noisy, [model], [piece], Label(AHEAD), film="a.mkv", keep_frames=True)
    assert untimed(changed) != untimed(trial)
    assert trial.frames.t_s[0] == 0.0 and len(trial.frames.t_s) == 50


def test_a_piece_without_a_face(encoded, model) -> None:
    face = encoded.models[0].faces[0]
    short = replace(face, rows=face.rows[:, :40])
    video = replace(encoded, models=(replace(encoded.models[0], faces=(short,)),))
    conditions = [Condition("piece", 1.0, s, s + 2.0) for s in (0.0, 2.0)]
    first, second = trials(video, [model], conditions, Label(), film="a")
    assert first.coverage == pytest.approx(0.8)
    assert second.reason == "no face was found"
    assert second.coverage == 0.0 and second.windows == {}


def test_pieces_beyond_the_video(tried) -> None:
    """Nothing breaks; there is nothing to hear."""
    (trial,) = tried(Condition("piece", 0.0, 90.0, 92.0))
    assert trial.error is None and trial.verdict == "inconclusive"


# ----------------------------------------------------------------------------------------- truth


SEGMENTS = (Segment(0.0, 3.0, 1.0, 1.0), Segment(3.0, 6.0, -4.0, 1.0))


@pytest.mark.parametrize(
    ("label", "condition", "truth"),
    [
        (Label(), Condition("shift", 2.0), None),
        (Label(1.5), Condition(), 1.5),
        (Label(1.5), Condition("shift", -2.0), -0.5),
        (Label(1.5), Condition("piece", 2.0, 1.0, 3.0), 3.5),
        (Label(None, segments=SEGMENTS), Condition("piece", 2.0, 1.0, 3.0), 3.0),
        (Label(1.0, segments=SEGMENTS), Condition("piece", 2.0, 3.0, 5.0), -2.0),
        (Label(1.0, segments=SEGMENTS), Condition("piece", 2.0, 2.0, 4.0), None),
        (Label(1.0, segments=SEGMENTS), Condition(), 1.0),
    ],
)
def test_the_truth(label: Label, condition: Condition, truth: float | None) -> None:
    assert true_offset(label, condition) == truth
    trial = failed_trial(("a", "b"), condition, label, film="f", error="no")
    assert (trial.truth_frames, trial.error, trial.answered) == (truth, "no", False)


def test_windows_of_a_network_that_is_right(tried) -> None:
    for trial in tried(Condition(), Condition("shift", 8.0), Condition("shift", -8.0)):
        assert tuple(trial.windows) == LENGTHS
        shares = [right / count for right, count in trial.windows.values()]
        assert shares[0] > 0.6 and shares[-1] > 0.95
        counts = [count for _, count in trial.windows.values()]
        assert np.diff(counts).tolist() == [-2] * 5
    assert tried(Condition("shift", 3.0), label=Label())[0].windows == {}
    wrong = tried(Condition(), label=Label(-9.0))[0].windows
    assert wrong[15][0] < 0.1 * wrong[15][1]
    assert tried(Condition(), label=Label(1e9))[0].windows == {}


def test_all_31_candidates_are_compared_however_far_the_audio_is_moved(tried) -> None:
    """A searched range of ±15 does not spare a network the candidates beyond it."""
    (narrow,) = tried(Condition("shift", 10.0), max_offset=15)
    (wide,) = tried(Condition("shift", 10.0), max_offset=40)
    assert narrow.windows == wide.windows
    assert len(narrow.curve) == 31 and len(wide.curve) == 81


def test_windows_lie_within_one_segment(tried, encoded) -> None:
    label = Label(None, segments=SEGMENTS)
    (both,) = tried(Condition(), label=label)
    (known,) = tried(Condition(), label=Label(1.0))
    ends = tried(Condition("piece", 0.0, 0.0, 3.0), label=label)[0].windows
    assert ends[15][0] == ends[15][1] > 10
    assert known.windows[15][1] - both.windows[15][1] == 14 + 5, "14 lie across, 5 lack audio"
    assert both.windows[15][0] / both.windows[15][1] < 0.7, "the second half is said to be -4"


def test_a_window_is_right_within_a_frame() -> None:
    volume = np.zeros((41, 20), np.float32)
    volume[20 + 4] = 1.0
    for truth, right in ((4, 1), (5, 1), (3.0, 1), (4.9, 1), (5.1, 0), (2.9, 0)):
        assert right_windows(volume, truth, [5])[5] == (16 * right, 16)
    volume[20 - 10, 3] = np.nan  # within ±15 of the truth 4
    assert right_windows(volume, 4, [5, 15])[5] == (12, 12)
    assert right_windows(volume, 4, [5, 15, 30]) == {5: (12, 12), 15: (2, 2), 30: (0, 0)}
    volume[20 - 12, :] = np.nan  # beyond
    assert right_windows(volume, 4, [5])[5] == (12, 12)
    with pytest.raises(ValueError, match="must be 21"):
        right_windows(volume, 6, [5])
    assert least_offset(-6.4) == 21


def test_windows_are_averaged_over_their_frames() -> None:
    """Checked against the plain way, window by window."""
    volume = volume_of(np.full(90, 3.0), height=1.0, max_offset=20)
    for n, (right, count) in right_windows(volume, 3).items():
        means = [volume[20 + 3 - 15 :][:31, t : t + n].mean(1) for t in range(90 - n + 1)]
        means = [m for m in means if np.isfinite(m).all()]
        assert count == len(means) > 40
        assert 5 < right == sum(abs(int(m.argmax()) - 15) <= 1 for m in means) < count


def test_chance_is_three_in_31() -> None:
    noise = np.random.default_rng(0).normal(size=(31, 20_000))
    right, count = right_windows(noise, 0, [5])[5]
    assert right / count == pytest.approx(3 / 31, abs=0.01)


# ------------------------------------------------------------------------------------- conditions


def test_shifts_as_given() -> None:
    found = shift_conditions(" -10, -5,0,+5, 2.25,0.33,5")
    assert [c.moved_frames for c in found] == [-10, -5, 0, 5, 2.25, 211 / 640]
    assert {c.kind for c in found} == {"shift"}


def test_random_shifts() -> None:
    found = shift_conditions("random:300", 7)
    moved = np.array([c.moved_frames for c in found])
    assert len(set(moved)) == 300
    np.testing.assert_array_equal(moved * 640, np.round(moved * 640))
    assert -10 <= moved.min() < -9 and 9 < moved.max() <= 10
    assert abs(moved.mean()) < 1
    assert found == shift_conditions("Random: 300", 7)
    assert found != shift_conditions("random:300", 8)
    assert found != shift_conditions("random:300", 7, video="b.mp4")
    near = shift_conditions("random:50", max_offset=8)
    assert 4 < max(abs(c.moved_frames) for c in near) <= 5


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        *[(spec, "no shifts") for spec in ("", "a", "1,,2", "nan", "1e999", "-10:10", "5 6")],
        *[(f"random{rest}", "no number") for rest in ("", ":", ":x", ":2.5")],
        *[(f"random:{n}", "moves") for n in (0, -3, 100_000)],
        ("16", "beyond the searched range"),
        ("-15.1", "beyond the searched range"),
    ],
)
def test_shifts_that_are_none(spec: str, told: str) -> None:
    with pytest.raises(UsageError, match=told) as caught:
        shift_conditions(spec)
    assert caught.value.remedy


def test_no_room_to_move() -> None:
    with pytest.raises(UsageError, match="no room"):
        shift_conditions("random:3", max_offset=3)
    with pytest.raises(UsageError, match="no room"):
        piece_conditions(100, 2, max_offset=2)


def test_pieces_of_a_video() -> None:
    found = piece_conditions(260, 2.0, 5)
    assert [(c.start_s, c.end_s) for c in found] == [(2.0 * i, 2.0 * i + 2) for i in range(5)]
    assert {c.kind for c in found} == {"piece"}
    moved = [c.moved_frames for c in found]
    assert len(set(moved)) == 5 and max(map(abs, moved)) <= 10
    assert found[0].moved_frames >= 0, "there is no audio before the video"
    assert found == piece_conditions(260, 2.0, 5, audio_samples=260 * SAMPLES_PER_FRAME)
    assert found != piece_conditions(260, 2.0, 5, video="b.mp4")
    assert max(abs(c.moved_frames) for c in piece_conditions(2600, 2, max_offset=5)) <= 2
    assert piece_conditions(40, 2.0) == []
    assert len(piece_conditions(260, 2.0, audio_samples=120 * SAMPLES_PER_FRAME)) < 4
    for seconds in (0.5, 0.0, -2.0, float("nan"), float("inf")):
        with pytest.raises(UsageError, match="too short"):
            piece_conditions(260, seconds)


def test_memory_is_not_always_told(monkeypatch) -> None:
    assert 10 < peak_memory_mb() < 1e6
    monkeypatch.setitem(trials_module.sys.modules, "resource", None)
    assert peak_memory_mb() is None
