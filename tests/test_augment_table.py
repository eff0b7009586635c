"""Names, probabilities and strengths of augmentations, and how they are changed."""

from __future__ import annotations

import pickle
import re
from pathlib import Path

import numpy as np
import pytest

from synctool.data.augment import (
    AUGMENTATIONS,
    GROUPS,
    AugmentSettings,
    Dice,
    Dose,
    parse_augment,
)
from synctool.errors import UsageError

NAMES = [row.name for row in AUGMENTATIONS]
PAGE = Path(__file__).resolve().parent.parent / "docs" / "augmentation.md"


def test_names_are_unique_and_probabilities_are_such() -> None:
    assert len(set(NAMES)) == len(NAMES) and not set(NAMES) & set(GROUPS)
    assert all(0 <= row.probability <= 1 for row in AUGMENTATIONS)


def test_the_page_has_the_table() -> None:
    rows = re.findall(
        r"^\| `(\w+)` \| (\w+) \| ([\d.]+) \| (.+?) \| (.*?) \|$", PAGE.read_text(), re.M
    )
    known = [(r.name, r.kind, f"{r.probability:g}", r.summary, r.source) for r in AUGMENTATIONS]
    assert rows == known


@pytest.mark.parametrize(
    "given",
    [
        "codec=0.2, noise=0.5:1.5,babble=off,cutmix=on,time_masks=ON",
        {
            "codec": 0.2,
            "noise": "0.5:1.5",
            "babble": False,
            "cutmix": True,
            "time_masks": {"probability": 0.1},
        },
    ],
)
def test_changes_are_read_from_a_text_or_a_table(given: object) -> None:
    settings = parse_augment(given)
    assert settings.dose("codec") == Dose("codec", 0.2)
    assert settings.dose("noise") == Dose("noise", 0.5, 1.5)
    assert settings.dose("babble").probability == 0
    assert settings.dose("cutmix").probability == settings.dose("time_masks").probability == 0.1
    assert settings.dose("blur") == Dose("blur", 0.25)
    assert parse_augment(settings.as_dict()) == settings
    assert pickle.loads(pickle.dumps(settings)) == settings and hash(settings) == hash(settings)


def test_a_strength_alone_keeps_the_probability() -> None:
    assert parse_augment({"noise": {"strength": 0.5}}).dose("noise") == Dose("noise", 0.5, 0.5)


def test_groups_are_read_before_names_wherever_they_stand() -> None:
    settings = parse_augment("blur=1,picture=off,all=on")
    on = {name for name in NAMES if settings.dose(name).probability > 0}
    assert not (on & GROUPS["picture"]) - {"blur"} and "noise" in on
    assert settings.dose("blur").probability == 1


@pytest.mark.parametrize("given", ["", {}, "all=on", "noise=0.5", "codec=on", {"blur": 0.25}])
def test_what_is_as_in_the_table_is_no_change(given: object) -> None:
    assert parse_augment(given) == AugmentSettings()
    assert parse_augment(given).as_dict() == {}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("codek=1", r"no augmentation 'codek' \(did you mean 'codec'\?\)"),
        ("codec=2", "codec: 2 is out of range: 0 to 1"),
        ("codec=-1", "out of range"),
        ("codec=0.5:3", "codec: 3 is out of range: 0 to 2"),
        ("codec=much", "'much' is not a number"),
        ("codec=nan", "not a number"),
        ("codec=", "'' is not a number"),
        ("codec", "'codec' says a name and no value"),
        ("codec=1,codec=0", "codec is given twice"),
        ("picture=0.5", "neither on nor off"),
        ({"codec": None}, "not a number"),
        ({"codec": {"strenght": 1}}, r"no 'strenght' \(did you mean 'strength'\?\)"),
        ({"codec": {"probability": True}}, "True is not a number"),
        ({"picture": {"probability": 1}}, "neither on nor off"),
    ],
)
def test_mistakes_are_named(given: object, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        parse_augment(given)


def test_all_mistakes_are_told_at_once() -> None:
    with pytest.raises(UsageError) as caught:
        parse_augment("codek=1,noise=7,hand=0.1")
    assert "codek" in str(caught.value) and "noise: 7" in str(caught.value)


def test_each_happens_as_often_as_its_probability_says() -> None:
    rng = np.random.default_rng(0)
    for amount in (1.0, 0.5, 0.0):
        hits = dict.fromkeys(NAMES, 0)
        for _ in range(1500):
            dice = Dice(AugmentSettings(), rng, amount=amount)
            for name in NAMES:
                hits[name] += dice.hit(name)
        for row in AUGMENTATIONS:
            wanted = row.probability * (amount if row.ramped else amount > 0)
            assert abs(hits[row.name] / 1500 - wanted) < 0.05, row.name


def test_switching_one_off_leaves_the_others_as_they_were() -> None:
    for seed in range(20):
        rngs = [np.random.default_rng(seed) for _ in range(2)]
        dice = [Dice(s, r) for s, r in zip((AugmentSettings(), parse_augment("noise=off")), rngs)]
        for name in NAMES:
            chances = [d.of(name) for d in dice]
            if name == "noise":
                assert chances[1] is None
            elif chances[0] is None:
                assert chances[1] is None
            else:
                assert chances[0].random() == chances[1].random()
        assert rngs[0].random() == rngs[1].random()
