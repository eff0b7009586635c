"""Every loss by hand on small tensors, and what all of them have in common."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from fake_evidence import evidence
from synctool.errors import UsageError
from synctool.plugins import registry
from synctool.training.losses.auxiliary import Auxiliary
from synctool.training.losses.base import (
    info_nce,
    known_mean,
    numbers,
    offset_cross_entropy,
    pooled,
    soft_targets,
)
from synctool.training.losses.embedding import Contrastive, InfoNCE, Triplet
from synctool.training.losses.pairing import belonging, gathered
from synctool.training.losses.regression import L1, Mse
from synctool.training.losses.volume import (
    AngularMargin,
    CrossEntropy,
    Distillation,
    Focal,
    ForeignAudio,
    MultiWay,
    TemporalConsistency,
    distances,
    expected_offsets,
)

NONE = float("-inf")
LN3 = math.log(3.0)
BUILT_IN = [
    *("angular-margin", "auxiliary", "contrastive", "cross-entropy", "distillation", "focal"),
    "foreign-audio",
    *("info-nce", "l1", "mse", "multi-way", "speech-units", "temporal-consistency", "triplet"),
]


def column(*values: float) -> Tensor:
    """A volume of one clip and one frame."""
    return torch.tensor(values)[None, :, None]


def near(value: float) -> object:
    return pytest.approx(value, abs=1e-5)


# ------------------------------------------------------------------------------- arithmetic


def test_a_fractional_offset_is_shared_by_its_neighbours() -> None:
    targets = soft_targets(torch.tensor([0.0, 1.25, -2.0, 2.5]), 2)
    assert targets[0].tolist() == [0, 0, 1, 0, 0]
    assert targets[1].tolist() == [0, 0, 0, 0.75, 0.25]
    assert targets[2].tolist() == [1, 0, 0, 0, 0]
    assert targets[3].tolist() == [0, 0, 0, 0, 0]


def test_pooling_by_hand() -> None:
    out = pooled(torch.tensor([[[1.0, 2.0, 3.0], [0.0, NONE, 4.0]]]), 2)
    assert out[0, 0].tolist() == [1.5, 2.5]
    assert torch.isneginf(out[0, 1]).all()


def test_what_is_no_number_is_not_hidden() -> None:
    volume = column(0.0, float("nan"), 0.0)
    assert torch.isnan(offset_cross_entropy(volume, torch.tensor([[0.0, 1.0, 0.0]])))
    assert torch.isnan(pooled(volume.expand(1, 3, 2), 2)[0, 1]).all()


def test_the_mean_is_over_what_is_known() -> None:
    values = torch.tensor([[1.0, 5.0], [3.0, 7.0]])
    assert known_mean(values, torch.tensor([[True, False], [True, False]])).item() == 2.0
    assert known_mean(values, torch.zeros(2, 2, dtype=torch.bool)).item() == 0.0


def test_known_frames_count_alike_in_all_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two processes, of which the other has three known frames that sum to 9."""
    monkeypatch.setattr(
        "synctool.training.losses.base.global_mean", lambda total, count: (total + 9) / (count + 3)
    )
    assert known_mean(torch.tensor([1.0, 8.0]), torch.tensor([True, False])).item() == 2.5


def test_rows_of_all_processes_are_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("synctool.training.losses.pairing.gather", lambda x: torch.cat([x, -x]))
    (rows,) = gathered(torch.tensor([[True, False]]), torch.tensor([[[1.0, 2.0], [3.0, 4.0]]]))
    assert rows.tolist() == [[1.0, 3.0], [-1.0, -3.0]]


def test_the_audio_that_belongs() -> None:
    audio = torch.arange(6.0)[None, None]
    frames = torch.tensor([0, 2])
    # One frame ahead: the audio of frame 0 lies one before index 1.
    found, known = belonging(audio, frames, offset_frames=torch.tensor([1.2]), audio_lead=1)
    assert (found.tolist(), known.tolist()) == ([[[0.0, 2.0]]], [[True, True]])
    found, known = belonging(audio, frames, offset_frames=torch.tensor([-4.0]), audio_lead=1)
    assert (found[0, 0, 0].item(), known.tolist()) == (5.0, [[True, False]])
    moved = torch.tensor([2])
    found, known = belonging(
        audio, frames, offset_frames=torch.tensor([1.0]), audio_lead=1, moved=moved
    )
    assert (found.tolist(), known.tolist()) == ([[[2.0, 4.0]]], [[True, True]])


def test_distances_are_those_of_the_vectors() -> None:
    a, b = torch.nn.functional.normalize(torch.randn(2, 5, 7), dim=2)
    expected = torch.linalg.vector_norm(a - b, dim=1)
    assert torch.allclose(distances((a * b).sum(1)), expected, atol=1e-4)


def test_numbers_are_plain() -> None:
    assert numbers({}) == {}
    assert numbers({"a": torch.tensor(0.5), "b": torch.tensor(2)}) == {"a": 0.5, "b": 2.0}


# ------------------------------------------------------------------------- over the volume


def test_cross_entropy_by_hand() -> None:
    seen = evidence(column(0.0, LN3, 0.0), [0.0])
    assert CrossEntropy(on="plain")(seen).item() == near(math.log(5 / 3))
    between = evidence(column(0.0, LN3, 0.0), [0.25])
    expected = 0.75 * math.log(5 / 3) + 0.25 * math.log(5)
    assert CrossEntropy(on="plain")(between).item() == near(expected)


def test_label_smoothing_by_hand() -> None:
    smoothed = CrossEntropy(on="plain", label_smoothing=0.3)
    expected = (0.7 + 0.1) * math.log(5 / 3) + 2 * 0.1 * math.log(5)
    assert smoothed(evidence(column(0.0, LN3, 0.0), [0.0])).item() == near(expected)
    # Only candidates with audio share it.
    expected = (0.7 + 0.15) * math.log(4 / 3) + 0.15 * math.log(4)
    assert smoothed(evidence(column(NONE, LN3, 0.0), [0.0])).item() == near(expected)


def test_pooled_cross_entropy_by_hand() -> None:
    volume = torch.tensor([[[0.0, 0.0], [0.0, 2 * LN3], [0.0, 0.0]]])
    seen = evidence(volume, [0.0])
    for pool in (2, 5, "clip"):
        assert CrossEntropy(on="plain", pool=pool)(seen).item() == near(math.log(5 / 3))
    assert CrossEntropy(on="plain")(seen).item() == near((LN3 + math.log(11 / 9)) / 2)


def test_focal_by_hand() -> None:
    seen = evidence(column(0.0, LN3, 0.0), [0.0])  # p = 3/5
    assert Focal(on="plain")(seen).item() == near(0.4**2 * math.log(5 / 3))
    assert Focal(on="plain", gamma=0.5)(seen).item() == near(0.4**0.5 * math.log(5 / 3))
    same = CrossEntropy(on="plain")(seen).item()
    assert Focal(on="plain", gamma=0.0)(seen).item() == near(same)


def test_multi_way_matching_by_hand() -> None:
    """Distances 1, 0.5 and 2, so the softmax is over 1, 2 and 0.5."""
    cosines = column(*(1 - d**2 / 2 for d in (1.0, 0.5, 2.0)))
    expected = -2 + math.log(math.exp(1) + math.exp(2) + math.exp(0.5))
    loss = MultiWay()(evidence(4 * cosines, [0.0], scale=4.0))
    assert loss.item() == near(expected)


def test_angular_margin_by_hand() -> None:
    cosines, angle = column(0.1, 0.6, -0.2), math.acos(0.6)
    seen = evidence(8 * cosines, [0.0], scale=8.0)
    for kind, won in (("angle", math.cos(angle + 0.3)), ("cosine", 0.6 - 0.3)):
        for scale, factor in ((0.0, 8.0), (30.0, 30.0)):
            rest = math.exp(factor * 0.1) + math.exp(factor * -0.2)
            expected = math.log(math.exp(factor * won) + rest) - factor * won
            loss = AngularMargin(margin=0.3, kind=kind, scale=scale)(seen)
            assert loss.item() == near(expected)
    plain = CrossEntropy(on="plain")(seen).item()
    assert AngularMargin(margin=0.0)(seen).item() == near(plain)


def test_angular_margin_never_rewards_a_larger_angle() -> None:
    values = []
    for cosine in torch.linspace(-1, 1, 41):
        volume = column(0.0, float(cosine), 0.0)
        values.append(AngularMargin(margin=0.5, scale=4.0)(evidence(volume, [0.0])).item())
    assert values == sorted(values, reverse=True)


def test_angular_margin_on_local_embeddings_takes_their_scale() -> None:
    cosines = column(0.1, 0.6, -0.2)
    seen = evidence(5 * cosines, [0.0], on="local", scale=5.0)
    other = evidence(8 * cosines, [0.0], on="local", local_scale=torch.tensor(8.0))
    assert AngularMargin(on="local", margin=0.0)(seen).item() == near(
        CrossEntropy(on="local")(seen).item()
    )
    assert AngularMargin(on="local", margin=0.0)(other).item() == near(
        CrossEntropy(on="local")(other).item()
    )


def test_temporal_consistency_by_hand() -> None:
    surely = [100.0, 0.0, 0.0]
    volume = torch.tensor([surely, surely, surely[::-1]]).T[None]
    seen = evidence(volume, [0.0], on="head")
    assert TemporalConsistency()(seen).item() == near(math.log(2) / 2)
    assert TemporalConsistency(of="offset")(seen).item() == near((0 + 2) / 2)
    steady = evidence(torch.randn(2, 3, 1).expand(2, 3, 9), [0.0, 9.0], on="head")
    assert TemporalConsistency()(steady).item() == near(0.0)
    alone = evidence(column(1.0, 2.0, 3.0), [0.0], on="head")
    assert TemporalConsistency()(alone).item() == 0.0
    silent = volume.clone()
    silent[..., 2] = NONE  # no audio at all for the last frame
    assert TemporalConsistency()(evidence(silent, [0.0], on="head")).item() == near(0.0)


def test_foreign_audio_by_hand() -> None:
    pair = torch.cat([column(0.0, 0.0, LN3), column(1.0, 1.0, NONE)])
    loss = ForeignAudio()(evidence(pair, [0.0, 0.0], on="foreign"))
    first = -(math.log(1 / 5) * 2 + math.log(3 / 5)) / 3 - LN3
    assert loss.item() == near(first / 2)  # the second has two candidates, which are alike
    apart = torch.tensor([[[3.0, -3.0], [-3.0, 3.0]]] * 2)
    each, together = (
        ForeignAudio(pool=p)(evidence(apart, [0.0, 0.0], on="foreign")).item() for p in (1, "clip")
    )
    assert each > 1 and together == near(0.0)


def test_distillation_by_hand() -> None:
    teacher = column(0.0, 2 * LN3, 0.0)  # at temperature 2: 1/5, 3/5, 1/5
    seen = evidence(column(0.0, 0.0, 0.0), [0.0], on="head", teacher=teacher)
    divergence = 0.6 * math.log(0.6 * 3) + 2 * 0.2 * math.log(0.2 * 3)
    assert Distillation()(seen).item() == near(4 * divergence)
    same = evidence(teacher, [0.0], on="head", teacher=teacher)
    assert Distillation(temperature=1.0)(same).item() == near(0.0)
    # A candidate that only one of them has audio for does not count.
    seen = evidence(column(NONE, LN3, 0.0), [0.0], on="head", teacher=column(5.0, LN3, 0.0))
    assert Distillation(temperature=1.0)(seen).item() == near(0.0)
    with pytest.raises(UsageError, match="needs a teacher"):
        Distillation()(evidence(teacher, [0.0], on="head"))


def test_regression_by_hand() -> None:
    volume = column(0.0, LN3, 0.0)  # 1/5, 3/5, 1/5
    assert expected_offsets(volume.softmax(1)).item() == near(0.0)
    seen = evidence(column(0.0, LN3, LN3), [-0.5], on="head")  # 1/7, 3/7, 3/7: 2/7 frames
    assert L1()(seen).item() == near(2 / 7 + 0.5)
    assert Mse()(seen).item() == near((2 / 7 + 0.5) ** 2)
    far = evidence(column(0.0, LN3, LN3), [7.0], on="head")
    assert L1()(far).item() == 0.0


# ---------------------------------------------------------------------- on the embeddings


def test_info_nce_by_hand() -> None:
    eye = torch.eye(2)
    loss = info_nce(eye, eye, torch.tensor(1.0))
    assert loss.item() == near(math.log(1 + math.exp(-1)))


def test_info_nce_without_anything_known_is_zero() -> None:
    empty = torch.zeros(0, 3, requires_grad=True)
    loss = info_nce(empty, empty, torch.tensor(1.0))
    loss.backward()
    assert loss.item() == 0.0


def test_info_nce_compares_every_so_many_frames() -> None:
    """Two clips of four frames; frames 0 and 3 are rows, and each is its own direction."""
    basis = torch.eye(4)
    video = torch.zeros(2, 4, 4)
    video[0, :, 0], video[0, :, 3], video[1, :, 0], video[1, :, 3] = basis
    audio = torch.zeros(2, 4, 6)
    audio[0, :, 1:5] = video[0]  # level
    audio[1, :, 2:6] = video[1]  # one frame late
    seen = evidence(
        torch.zeros(2, 3, 4),
        [0.0, -1.0],
        scale=2.0,
        video_features=video,
        audio_features=audio,
        audio_lead=1,
    )
    loss = InfoNCE(apart=3)(seen)
    assert loss.item() == near(math.log(1 + 3 * math.exp(-2)))


def test_contrastive_by_hand() -> None:
    """Right at distance 0.5, in the middle; the last is wrong, too, but beyond the margin."""
    volume = column(*(1 - d**2 / 2 for d in (0.2, 0.6, 0.5, 0.8, 2.0)))
    seen = evidence(volume, [0.0])
    assert Contrastive(tolerance=0.0)(seen).item() == near(
        (0.5**2 + (0.8**2 + 0.4**2 + 0.2**2 + 0) / 4) / 2
    )
    assert Contrastive()(seen).item() == near((0.5**2 + (0.8**2 + 0) / 2) / 2)
    between = evidence(volume, [0.5])
    shared, far = (0.5**2 + 0.8**2) / 2, (0.8**2 + 0.4**2 + 0) / 3
    assert Contrastive()(between).item() == near((shared + far) / 2)
    assert Contrastive(margin=0.0)(seen).item() == near(0.5**2 / 2)


def test_triplet_by_hand() -> None:
    seen = evidence(column(0.7, 0.9, 0.6, 0.1, 0.5), [0.0])
    assert Triplet()(seen).item() == near(0.2 + 0.7 - 0.6)  # 0.9 is within a frame
    assert Triplet(tolerance=0.0)(seen).item() == near(0.2 + 0.9 - 0.6)
    assert Triplet(margin=0.0)(evidence(column(0.1, 0, 0.9, 0, 0.5), [0.0])).item() == 0.0
    missing = evidence(column(NONE, 0.9, 0.6, 0.1, NONE), [0.0])
    assert Triplet()(missing).item() == 0.0, "no wrong candidate is left"


# ---------------------------------------------------------------------- all of them alike


def every_loss() -> list[tuple[str, object]]:
    small = {
        "auxiliary": {"embedding": 4, "values": 2},
        "speech-units": {"embedding": 4, "units": 3},
    }
    found = [
        (s.name, registry.imported(s.factory)(**{**s.options, **small.get(s.name, {})}))
        for s in registry.losses.all()
    ]
    assert [name for name, _ in found] == BUILT_IN
    return found


def random_evidence(*, missing: bool, offsets: list[float]) -> tuple[object, list[Tensor]]:
    torch.manual_seed(1)
    clips = len(offsets)
    raw = torch.randn(clips, 7, 9, requires_grad=True)
    video = torch.randn(clips, 4, 9, requires_grad=True)
    audio = torch.randn(clips, 4, 15, requires_grad=True)
    scale = torch.tensor(4.0, requires_grad=True)
    volume = raw.tanh() * scale
    if missing:
        hole = torch.zeros(7, 9, dtype=torch.bool)
        hole[3, 0] = hole[:3, 4] = hole[:, 6] = True
        volume = volume.masked_fill(hole, NONE)
    seen = evidence(
        volume,
        offsets,
        video_features=torch.nn.functional.normalize(video, dim=1),
        audio_features=torch.nn.functional.normalize(audio, dim=1),
        audio_lead=3,
        scale=scale,
        teacher=torch.randn(clips, 7, 9),
        local_video=torch.nn.functional.normalize(video, dim=1),
        units=torch.randint(-1, 3, (clips, 9)),
        targets=torch.randn(clips, 2, 9).masked_fill(torch.rand(clips, 2, 9) < 0.3, math.nan),
    )
    seen.volumes["head"] = seen.volumes["foreign"] = volume
    return seen, [raw, scale, video, audio]


@pytest.mark.parametrize(
    ("missing", "offsets"),
    [(False, [0.0, 1.5]), (True, [0.0, -2.25]), (True, [0.0, 50.0])],
)
def test_gradients_are_numbers_and_flow(missing: bool, offsets: list[float]) -> None:
    for name, loss in every_loss():
        seen, inputs = random_evidence(missing=missing, offsets=offsets)
        value = loss(seen)
        assert value.ndim == 0 and torch.isfinite(value) and value > 0, name
        value.backward()
        gradients = [x.grad for x in inputs if x.grad is not None]
        assert gradients and all(torch.isfinite(g).all() for g in gradients), name
        assert any(g.abs().sum() > 0 for g in gradients), name


def test_without_anything_known_every_loss_is_zero() -> None:
    for name, loss in every_loss():
        seen, inputs = random_evidence(missing=False, offsets=[50.0, -50.0])
        for on in ("plain", "head", "foreign"):
            seen.volumes[on] = seen.volumes[on].masked_fill(torch.tensor(True), NONE)
        seen.targets.fill_(math.nan)
        seen.units.fill_(-1)
        value = loss(seen)
        value.backward()
        assert value.item() == 0.0, name
        assert all(torch.isfinite(x.grad).all() for x in inputs if x.grad is not None), name


CHOICES = ("cross-entropy", "focal", "angular-margin", "multi-way")


@pytest.mark.parametrize("name", CHOICES)
def test_a_perfect_volume_costs_little_and_an_even_one_the_logarithm(name: str) -> None:
    loss = dict(every_loss())[name]
    perfect = torch.full((2, 31, 4), -0.8)
    perfect[0, 15], perfect[1, 18] = 1.0, 1.0
    even = torch.zeros(2, 31, 4)

    def value(cosines: Tensor) -> float:
        seen = evidence(40 * cosines, [0.0, 3.0], scale=40.0)
        seen.volumes["head"] = seen.volumes["plain"]
        return loss(seen).item()

    assert value(perfect) < 0.01
    chance = math.log(31)
    if name == "focal":
        chance *= (30 / 31) ** 2
    if name == "angular-margin":
        assert value(even) > chance, "the margin makes it harder than chance"
    else:
        assert value(even) == near(chance)


@pytest.mark.parametrize("name", ["contrastive", "triplet", "l1", "mse"])
def test_a_perfect_volume_costs_the_others_little(name: str) -> None:
    perfect = torch.full((1, 31, 4), -0.8)
    perfect[0, 17] = 1.0
    seen = evidence(40 * perfect, [2.0], scale=40.0)
    seen.volumes["head"] = seen.volumes["plain"]
    assert dict(every_loss())[name](seen).item() < 0.01


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: CrossEntropy(on="tail"), "on is 'tail'"),
        (lambda: CrossEntropy(pool=0), "pool is 0"),
        (lambda: CrossEntropy(pool="all"), "pool is 'all'"),
        (lambda: CrossEntropy(pool=True), "pool is True"),
        (lambda: CrossEntropy(label_smoothing=1.0), "label_smoothing is 1.0"),
        (lambda: Focal(gamma=-1.0), "gamma is -1.0"),
        (lambda: Focal(gamma=float("nan")), "gamma is nan"),
        (lambda: MultiWay(on="head"), "on is 'head'"),
        (lambda: AngularMargin(kind="arc"), "kind is 'arc'"),
        (lambda: AngularMargin(margin=2.0), "margin is 2.0"),
        (lambda: AngularMargin(margin="wide"), "margin is 'wide'"),
        (lambda: TemporalConsistency(pool="clip"), "pool=clip leaves one"),
        (lambda: TemporalConsistency(of="shape"), "of is 'shape'"),
        (lambda: Distillation(temperature=0.0), "temperature is 0.0"),
        (lambda: InfoNCE(apart=0), "apart is 0"),
        (lambda: Contrastive(on="head"), "on is 'head'"),
        (lambda: Triplet(margin=-0.1), "margin is -0.1"),
        (lambda: Auxiliary(on="head"), "on is 'head'"),
        (lambda: Auxiliary(values=0), "values is 0"),
    ],
)
def test_a_wrong_option_is_told(make: object, words: str) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        make()
    assert caught.value.remedy


def test_auxiliary_values_by_hand() -> None:
    loss = Auxiliary(values=1, embedding=2)
    torch.nn.init.constant_(loss.layer.weight, 0.25)
    torch.nn.init.zeros_(loss.layer.bias)
    seen = torch.tensor([[[1.0, 0.0], [0.0, 1.0]]])  # told: 8 * 0.25 = 2 in both frames
    targets = torch.tensor([[[5.0, float("nan")]]])
    given = evidence(column(0.0, 0.0, 0.0), [0.0], local_video=seen, targets=targets)
    value = loss(given)
    assert value.item() == pytest.approx(9.0)
    value.backward()
    assert loss.layer.weight.grad[0, 0] == pytest.approx(2 * -3 * 8)
    assert loss.layer.weight.grad[0, 1] == 0


@pytest.mark.parametrize(
    ("more", "words", "remedy"),
    [
        ({}, "needs targets", "--targets"),
        ({"targets": torch.zeros(1, 12, 1)}, "no local embeddings", "on=plain"),
        (
            {"targets": torch.zeros(1, 3, 1), "local_video": torch.ones(1, 2, 1)},
            "here are 2 and 3",
            "embedding=2,values=3",
        ),
    ],
)
def test_auxiliary_values_that_do_not_fit_are_told(more: dict, words: str, remedy: str) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        Auxiliary()(evidence(column(0.0, 0.0, 0.0), [0.0], **more))
    assert remedy in caught.value.remedy


def test_a_volume_that_is_not_there_is_told() -> None:
    with pytest.raises(UsageError, match="no volume 'local'") as caught:
        CrossEntropy(on="local")(evidence(column(0.0, 0.0, 0.0), [0.0]))
    assert "plain" in caught.value.remedy
