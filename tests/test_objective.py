"""Mixtures of losses: what they compute, how they are written, and plugins that add to them."""

from __future__ import annotations

import math
import re
import sys
import types
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from fake_evidence import talking_batch, tiny_model
from fake_plugins import FakePlugin
from synctool.errors import PluginError, UsageError
from synctool.plugins import loader as plugins
from synctool.plugins import registry
from synctool.plugins.specs import LossSpec
from synctool.training.loss_mixture import loss_term, loss_terms, parse_loss
from synctool.training.losses.base import offset_cross_entropy, pooled, soft_targets
from synctool.training.losses.loss_inputs import observe
from synctool.training.losses.objective import (
    DEFAULT_TERMS,
    LossTerm,
    SyncObjective,
    build_objective,
)

DOCS = Path(__file__).resolve().parent.parent / "docs" / "losses.md"


# ------------------------------------------------------------------------------- evidence


def test_the_volumes_are_what_the_network_scores() -> None:
    model, batch = tiny_model(), talking_batch(0)
    nn.init.normal_(model.head.layers[-1].weight)
    seen = observe(model, batch, max_offset=3)
    video = batch.video.float() / 255
    assert torch.equal(seen.video_features, model.encode_video(video))
    logits = model(batch.audio, video, max_offset=3, audio_lead=batch.audio_lead).logits
    assert torch.allclose(seen.volumes["head"], logits)
    plain = seen.volumes["plain"]
    assert plain.shape == logits.shape
    # Row K + n of frame t is the audio at t - n + lead: here n = 2, t = 4.
    product = seen.video_features[:, :, 4] * seen.audio_features[:, :, 4 - 2 + batch.audio_lead]
    expected = product.sum(1) * model.head.log_scale.exp()
    assert torch.allclose(plain[:, 3 + 2, 4], expected)
    assert torch.allclose(seen.cosines("plain")[:, 5, 4], product.sum(1))
    assert list(seen.volumes) == ["plain", "head", "foreign"] and len(seen.volumes) == 3
    assert "local" not in seen.volumes


def test_local_embeddings_make_a_volume_with_a_scale_of_its_own() -> None:
    model, batch = tiny_model(local=True), talking_batch(0)
    nn.init.constant_(model.local_scale, math.log(7.0))
    seen = observe(model, batch, max_offset=3)
    local, _ = model.encode_video_both(batch.video.float() / 255)
    heard, _ = model.encode_audio_both(batch.audio)
    product = (local[:, :, 4] * heard[:, :, 4 - 2 + batch.audio_lead]).sum(1)
    assert torch.allclose(seen.volumes["local"][:, 5, 4], 7 * product)
    assert torch.allclose(seen.cosines("local")[:, 5, 4], product, atol=1e-6)


def test_a_volume_is_computed_once_and_only_if_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    model, batch = tiny_model(local=True), talking_batch(0)
    calls: list[str] = []
    refine = type(model.head).refine

    def counted(head: nn.Module, *given: torch.Tensor) -> torch.Tensor:
        calls.append("head")
        return refine(head, *given)

    monkeypatch.setattr(type(model.head), "refine", counted)
    seen = observe(model, batch, max_offset=3)
    assert "head" in seen.volumes and list(seen.volumes) == ["plain", "head", "foreign", "local"]
    assert seen.volumes["plain"] is seen.volumes["plain"]
    assert calls == []
    assert seen.volumes["head"] is seen.volumes["head"]
    assert calls == ["head"]


# ------------------------------------------------------------------------------ objective


def test_the_default_mixture_by_hand() -> None:
    model, batch = tiny_model(), talking_batch(0)
    loss, parts = SyncObjective(terms=DEFAULT_TERMS, max_offset=3)(model, batch)
    volumes = observe(model, batch, max_offset=3).volumes
    targets = soft_targets(batch.offset_frames, 3)
    expected = {
        "plain": offset_cross_entropy(volumes["plain"], targets),
        "plain/5": offset_cross_entropy(pooled(volumes["plain"], 5), targets),
        "plain/clip": offset_cross_entropy(pooled(volumes["plain"], 24), targets),
        "head": offset_cross_entropy(volumes["head"], targets),
    }
    assert list(parts) == [*expected, "info-nce"]
    weights = {"plain": 0.5, "plain/5": 0.3, "plain/clip": 0.2, "head": 1.0}
    total = 0.1 * parts["info-nce"]
    for name, value in expected.items():
        assert parts[name] == pytest.approx(value.item()), name
        total += weights[name] * value.item()
    assert loss.item() == pytest.approx(total, rel=1e-5)


def test_local_terms_join_in_where_there_are_local_embeddings() -> None:
    objective = SyncObjective(terms=DEFAULT_TERMS, max_offset=3)
    model, batch = tiny_model(local=True), talking_batch(0)
    loss, parts = objective(model, batch)
    assert list(parts)[-2:] == ["local", "local/5"]
    loss.backward()
    assert all(p.grad is not None for p in model.parameters())
    without = tiny_model()
    assert "local" not in objective(without, batch)[1]
    asked = SyncObjective(terms=[LossTerm("cross-entropy", options={"on": "local"})], max_offset=3)
    with pytest.raises(UsageError, match="no volume 'local'"):
        asked(without, batch)


def test_a_teacher_is_followed_and_stays_as_it_is() -> None:
    teacher, student, batch = tiny_model(seed=1), tiny_model(seed=2), talking_batch(0)
    terms = [LossTerm("distillation", options={"temperature": 1.0})]
    objective = SyncObjective(terms=terms, max_offset=3, teacher=teacher)
    assert list(objective.parameters()) == [] and objective.state_dict() == {}
    before = {k: v.clone() for k, v in teacher.state_dict().items()}
    optimizer = torch.optim.Adam(student.parameters(), lr=0.02)
    losses = []
    for _ in range(40):
        loss, _ = objective(student, batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.3 * losses[0]
    assert objective(teacher, batch)[0].item() == pytest.approx(0.0, abs=1e-6)
    assert all(torch.equal(before[k], v) for k, v in teacher.state_dict().items())
    assert not any(p.requires_grad for p in teacher.parameters())


def test_parts_have_names_of_their_own() -> None:
    terms = [
        LossTerm("focal"),
        LossTerm("focal", options={"gamma": 1.0}),
        LossTerm("focal", options={"on": "plain", "pool": 5}),
        LossTerm("cross-entropy"),
        LossTerm("l1", options={"on": "plain"}),
    ]
    _, parts = SyncObjective(terms=terms, max_offset=3)(tiny_model(), talking_batch(0))
    assert list(parts) == ["focal", "focal#2", "focal/plain/5", "head", "l1/plain"]


def test_a_mixture_learns_the_offset() -> None:
    model = tiny_model()
    objective = SyncObjective(terms=loss_terms(["focal=0.5,on=plain", "triplet"]), max_offset=3)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for step in range(60):
        loss, _ = objective(model, talking_batch(step))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    batch = talking_batch(1000)
    volume = observe(model, batch, max_offset=3).volumes["plain"]
    found = pooled(volume, volume.shape[-1])[..., 0].argmax(1) - 3
    assert found.tolist() == batch.offset_frames.tolist()


def test_what_cannot_be_built_says_so() -> None:
    def build(task: str, **more: object) -> nn.Module:
        given = {"terms": DEFAULT_TERMS, "max_offset": 3, "embedding": 8, **more}
        return build_objective(task, **given)

    assert isinstance(build("sync"), SyncObjective)
    with pytest.raises(UsageError, match="no task 'maskd'") as caught:
        build("maskd")
    assert "masked" in caught.value.remedy
    with pytest.raises(UsageError, match="no loss to train with"):
        build("sync", terms=())
    with pytest.raises(UsageError, match="avc has its own loss"):
        build("avc", terms=(LossTerm("focal"),))
    with pytest.raises(UsageError, match="order has its own loss"):
        build("order", teacher=tiny_model())
    with pytest.raises(UsageError, match="no built-in loss 'fokal'"):
        build("sync", terms=[LossTerm("fokal")])
    with pytest.raises(UsageError, match="focal: gamma is -1"):
        build("sync", terms=[LossTerm("focal", options={"gamma": -1})])
    with pytest.raises(UsageError, match="focal cannot be made: TypeError"):
        build("sync", terms=[LossTerm("focal", options={"delta": 1})])


# ------------------------------------------------------------------------- how it is written


def test_a_loss_on_the_command_line() -> None:
    factory = "synctool.training.losses.volume:Focal"
    assert parse_loss("focal") == LossTerm("focal", 1.0, {}, factory)
    assert parse_loss("focal=0.5") == LossTerm("focal", 0.5, {}, factory)
    options = {"gamma": 1.0, "on": "plain", "pool": "clip"}
    written = " focal = 2 , gamma=1, on=plain, pool=clip "
    assert parse_loss(written) == LossTerm("focal", 2.0, options, factory)
    assert parse_loss("focal,pool=5").options == {"pool": 5}


def test_losses_in_tables() -> None:
    toml = pytest.importorskip("tomllib" if sys.version_info >= (3, 11) else "tomli")
    tables = toml.loads(
        """
        [[train.losses]]
        name = "cross-entropy"
        weight = 0.5
        options = { on = "plain", pool = 5, label_smoothing = 0.1 }

        [[train.losses]]
        name = "info-nce"
        """
    )["train"]["losses"]
    first, second = loss_terms([*tables])
    assert (first.name, first.weight, first.part) == ("cross-entropy", 0.5, "plain/5")
    assert first.options == {"on": "plain", "pool": 5, "label_smoothing": 0.1}
    assert (second.name, second.weight) == ("info-nce", 1.0)
    mixed = loss_terms(["focal=0.1", {"name": "l1"}])
    assert [t.name for t in mixed] == ["focal", "l1"]


@pytest.mark.parametrize(
    ("text", "words", "remedy"),
    [
        ("fokal=0.5", "no loss 'fokal'", "focal"),
        ("", "'' is no loss", "NAME=WEIGHT"),
        ("=0.5", "'=0.5' is no loss", "NAME=WEIGHT"),
        ("focal=", "'focal=' is no loss", "NAME=WEIGHT"),
        ("focal=much", "weight of focal is 'much'", "above 0"),
        ("focal=-1", "weight of focal is -1", "above 0"),
        ("focal=0", "weight of focal is 0", "above 0"),
        ("focal=nan", "weight of focal is nan", "above 0"),
        ("focal=inf", "weight of focal is inf", "above 0"),
        ("focal=" + "9" * 400, "weight of focal is 9", "above 0"),
        ("focal=true", "weight of focal is True", "above 0"),
        ("focal,gama=1", "no option 'gama'", "gamma"),
        ("focal,size=1", "no option 'size'", "on, pool, gamma"),
        ("focal,gamma", "'gamma' in 'focal,gamma' is no option", "OPTION=VALUE"),
        ("focal,gamma=1,gamma=2", "gamma twice", "OPTION=VALUE"),
        ("focal,gamma=strong", "gamma of the loss focal is 'strong'", "a number"),
        ("focal,gamma=inf", "gamma of the loss focal is inf", "a number"),
        ("focal,on=3", "on of the loss focal is 3", "a word, like head"),
    ],
)
def test_a_loss_written_wrong(text: str, words: str, remedy: str) -> None:
    with pytest.raises(UsageError, match=re.escape(words)) as caught:
        parse_loss(text)
    assert remedy in caught.value.remedy


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({}, "is no loss"),
        ({"name": 3}, "is no loss"),
        (["focal"], "is no loss"),
        ({"name": "focal", "gamma": 1.0}, "'gamma' in the table"),
        ({"name": "focal", "options": "gamma=1"}, "the options of the loss focal are"),
        ({"name": "focal", "options": {"gamma": [1]}}, "gamma of the loss focal"),
        ({"name": "focal", "weight": "0.5"}, "weight of focal is '0.5'"),
    ],
)
def test_a_table_written_wrong(table: object, words: str) -> None:
    with pytest.raises(UsageError, match=re.escape(words)):
        loss_terms([table])


def test_the_default_terms_can_be_written() -> None:
    for term in DEFAULT_TERMS:
        assert loss_term(term.name, weight=term.weight, options=term.options).part == term.part


# ------------------------------------------------------------------------------- plugins


class Largest(nn.Module):
    """A loss with a parameter of its own."""

    def __init__(self, *, power: float = 1.0, flag: bool = False) -> None:
        super().__init__()
        if power > 9:
            raise ValueError("too much power")
        self.own = nn.Parameter(torch.tensor(power))

    def forward(self, evidence: object) -> torch.Tensor:
        return evidence.volumes["plain"].amax() * self.own


SPEC = LossSpec(
    "largest", "test_objective:Largest", "made up", {"power": 1.0, "flag": False}, "nobody"
)


def test_a_plugin_adds_a_loss() -> None:
    with plugins.use() as own:
        own.register(FakePlugin(synctool_losses=[SPEC]), name="fake")
        assert [s.name for s in registry.losses.all()] == ["largest"]
        term = parse_loss("largest=2,power=3,flag=true")
        with pytest.raises(UsageError, match="no loss 'largst'") as caught:
            parse_loss("largst")
        with pytest.raises(UsageError, match="flag of the loss largest is 1") as flagged:
            parse_loss("largest,flag=1")
        strong = parse_loss("largest,power=10")
    assert "largest" in caught.value.remedy and "true or false" in flagged.value.remedy
    objective = SyncObjective(terms=[term], max_offset=3)
    model, batch = tiny_model(), talking_batch(0)
    loss, parts = objective(model, batch)
    expected = 3 * observe(model, batch, max_offset=3).volumes["plain"].amax().item()
    assert parts == {"largest": pytest.approx(expected)}
    assert loss.item() == pytest.approx(2 * expected)
    assert [name for name, _ in objective.named_parameters()] == ["losses.0.own"]
    with pytest.raises(UsageError, match="largest cannot be made: ValueError: too much power"):
        SyncObjective(terms=[strong], max_offset=3)


def test_two_plugins_with_one_loss_are_an_error() -> None:
    with plugins.use() as own:
        for name in ("one", "two"):
            own.register(FakePlugin(synctool_losses=[SPEC]), name=name, distribution=f"{name}-dist")
        with pytest.raises(PluginError, match=r"one-dist.*two-dist"):
            parse_loss("largest")


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (["largest"], "str in place of LossSpec"),
        ([LossSpec("largest", "no colon", "x")], "no colon"),
        ([LossSpec("largest", "a:b", "x", ["power"])], "default values by name"),
        ([LossSpec("largest", "a:b", "x", {"two words": 1})], "default values by name"),
        ([LossSpec("Largest One", "a:b", "x")], "Largest One"),
        ([SPEC, SPEC], "'largest' twice"),
    ],
)
def test_rubbish_of_a_plugin_is_no_loss(wrong: list, reason: str) -> None:
    with plugins.use() as own:
        own.register(FakePlugin(synctool_losses=wrong), name="fake")
        assert registry.losses.all() == []
        (record,) = own.records()
    assert record.status == "broken" and reason in record.reason


# ---------------------------------------------------------------------------------- docs


def test_every_loss_and_option_is_documented() -> None:
    text = DOCS.read_text("utf-8")
    rows = {
        cells[1].strip(" `"): line
        for line in text.splitlines()
        if line.startswith("| `") and len(cells := line.split("|")) > 6
    }
    for spec in registry.losses.all():
        assert spec.name in rows, spec.name
        for option, value in spec.options.items():
            if option not in ("on", "pool"):
                assert f"`{option}={value}`" in rows[spec.name], (spec.name, option)


def test_the_plugin_of_the_documentation_works(monkeypatch: pytest.MonkeyPatch) -> None:
    (code,) = re.findall(r"```python\n(# synctool_plugin_.+?)```", DOCS.read_text("utf-8"), re.S)
    name = re.match(r"# (\w+)\.py", code).group(1)
    module = types.ModuleType(name)
    monkeypatch.setitem(sys.modules, name, module)
    exec(compile(code, name, "exec"), module.__dict__)
    with plugins.use() as own:
        assert own.register(module, name="documented").status == "ok"
        (spec,) = registry.losses.all()
        written = re.search(rf"--loss ({spec.name}\S*)", DOCS.read_text("utf-8")).group(1)
        objective = SyncObjective(terms=[parse_loss(written)], max_offset=3)
    model = tiny_model()
    loss, parts = objective(model, talking_batch(0))
    loss.backward()
    assert list(parts) == [spec.name] and torch.isfinite(loss) and loss > 0
    assert model.video_encoder.layer.weight.grad.abs().sum() > 0


@pytest.mark.parametrize("local", [False, True])
def test_the_audio_of_the_clip_before_is_foreign(local: bool) -> None:
    model, batch = tiny_model(local=local).eval(), talking_batch(0)
    moved = replace(batch, audio=batch.audio.roll(1, 0))
    foreign, own = (
        observe(model, b, max_offset=3).volume(name)
        for b, name in ((batch, "foreign"), (moved, "head"))
    )
    assert torch.allclose(foreign, own, atol=1e-5)
