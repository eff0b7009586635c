"""Where settings come from, which place wins, and that all mistakes are told at once."""

from __future__ import annotations

import copy
import os
import pickle
from pathlib import Path

import pytest

from synctool.errors import EXIT_MISSING, EXIT_USAGE, MissingError, UsageError
from synctool.settings import table as config
from synctool.settings.table import SECTIONS, resolve, setting


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.upper().startswith("SYNCTOOL_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def write(text: str, name: str = "synctool.toml") -> None:
    Path(name).write_text(text, encoding="utf-8")


def refusal(section: str = "detect", flags: dict[str, object] | None = None) -> str:
    with pytest.raises(UsageError) as caught:
        resolve(section, flags)
    assert caught.value.exit_code == EXIT_USAGE
    return caught.value.cause


DEFAULTS = {
    "detect": {
        "backbone": "fcn-cls",
        "max_offset": 15,
        "device": "auto",
        "detector": "centerface",
        "audio_track": None,
        "video_track": None,
        "channel": "auto",
        "max_faces": 4,
    },
    "preprocess": {"detector": "centerface", "workers": 0, "min_frames": 12, "shard_films": 64},
    "pairs": {
        "max_offset": 15,
        "seed": 0,
        "val_fraction": 0.1,
        "test_fraction": 0.1,
        "negatives_per_clip": 2,
    },
    "train": {
        "backbone": "fcn-cls",
        "epochs": 10,
        "steps_per_epoch": 200,
        "batch_size": 32,
        "learning_rate": 0.002,
        "max_offset": 15,
        "window_frames": 24,
        "seed": 0,
        "device": "auto",
    },
}


@pytest.mark.parametrize("section", DEFAULTS)
def test_defaults(section: str) -> None:
    found = resolve(section).as_dict()
    for name, value in DEFAULTS[section].items():
        assert found[name] == value
        assert type(found[name]) is type(value)


@pytest.mark.parametrize(
    "row", [s for rows in SECTIONS.values() for s in rows], ids=lambda s: s.name
)
def test_every_row_allows_its_own_default(row: config.Setting) -> None:
    assert row.parse(row.default) == row.default
    assert row.parse(str(row.default), text=True) == row.default
    if row.default is not None and row.default is not False:  # a flag that is off says so itself
        assert str(row.default) in row.help_text


@pytest.mark.parametrize(
    ("text", "value"), [("true", True), ("Yes", True), ("1", True), ("no", False), ("0", False)]
)
def test_a_switch_is_read_from_every_place(
    monkeypatch: pytest.MonkeyPatch, text: str, value: bool
) -> None:
    assert resolve("detect").allow_external is False
    write("[detect]\nallow_external = true\n")
    assert resolve("detect").allow_external is True
    monkeypatch.setenv("SYNCTOOL_DETECT_ALLOW_EXTERNAL", text)
    assert resolve("detect").allow_external is value
    assert resolve("detect", {"allow_external": not value}).allow_external is not value
    monkeypatch.setenv("SYNCTOOL_DETECT_ALLOW_EXTERNAL", "perhaps")
    assert "is not true or false" in refusal()
    monkeypatch.delenv("SYNCTOOL_DETECT_ALLOW_EXTERNAL")
    write('[detect]\nallow_external = "yes"\n')
    assert "is not true or false" in refusal()


def test_later_places_win(monkeypatch: pytest.MonkeyPatch) -> None:
    write("[detect]\nmax_offset = 20\nmax_faces = 2\naudio_track = 1\n")
    assert resolve("detect").max_offset == 20
    monkeypatch.setenv("SYNCTOOL_DETECT_MAX_OFFSET", "30")
    monkeypatch.setenv("SYNCTOOL_DETECT_MAX_FACES", "3")
    assert resolve("detect").max_offset == 30
    found = resolve("detect", {"max_offset": 40, "max_faces": None, "device": None})
    assert (found.max_offset, found.max_faces, found.audio_track) == (40, 3, 1)
    assert (found.device, found.backbone) == ("auto", "fcn-cls")


def test_sections_do_not_mix(monkeypatch: pytest.MonkeyPatch) -> None:
    write("[train]\nmax_offset = 50\n")
    monkeypatch.setenv("SYNCTOOL_PAIRS_MAX_OFFSET", "60")
    found = {section: resolve(section).max_offset for section in ("detect", "train", "pairs")}
    assert found == {"detect": 15, "train": 50, "pairs": 60}


def test_false_like_flags_are_given() -> None:
    write("[detect]\naudio_track = 3\n")
    assert resolve("detect", {"audio_track": 0}).audio_track == 0


def test_a_named_file_stands_in_for_the_one_here(monkeypatch: pytest.MonkeyPatch) -> None:
    write("[detect]\nmax_offset = 20\n")
    write("[detect]\nmax_faces = 9\n", "my own.toml")
    monkeypatch.setenv("SYNCTOOL_CONFIG", "my own.toml")
    found = resolve("detect")
    assert (found.max_offset, found.max_faces) == (15, 9)


def test_a_named_file_must_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYNCTOOL_CONFIG", "gone.toml")
    with pytest.raises(MissingError, match=r"gone\.toml") as caught:
        resolve("detect")
    assert caught.value.exit_code == EXIT_MISSING


@pytest.mark.parametrize("content", [b"[detect\n", b"[detect]\nbackbone = '\xff'\n"])
def test_a_file_that_is_no_toml(content: bytes) -> None:
    Path("synctool.toml").write_bytes(content)
    assert "synctool.toml cannot be read" in refusal()


def test_empty_variables_are_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYNCTOOL_DETECT_MAX_OFFSET", "")
    monkeypatch.setenv("SYNCTOOL_CONFIG", "")
    assert resolve("detect").max_offset == 15


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ({"max_offset": 14}, ["--max-offset", "14", "15 to 125"]),
        ({"max_offset": 126}, ["126", "15 to 125"]),
        ({"max_offset": 20.5}, ["20.5 is not a whole number"]),
        ({"max_offset": True}, ["True is not a whole number"]),
        ({"max_offset": "20"}, ["'20' is not a whole number"]),
        ({"device": "gpu"}, ["'gpu' is not one of auto, cpu, cuda, mps", "did you mean 'cpu'?"]),
        ({"backbone": "  "}, ["'  ' is not a text"]),
        ({"backbone": 3}, ["3 is not a text"]),
        ({"audio_track": -1}, ["-1", "at least 0"]),
        ({"max_ofset": 20}, ["--max-ofset", "unknown setting", "did you mean 'max_offset'?"]),
    ],
)
def test_wrong_flags(flags: dict[str, object], words: list[str]) -> None:
    cause = refusal(flags=flags)
    for word in words:
        assert word in cause


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "0", "2", "much"])
def test_wrong_learning_rates(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("SYNCTOOL_TRAIN_LEARNING_RATE", value)
    assert "SYNCTOOL_TRAIN_LEARNING_RATE" in refusal("train")


def test_numbers_of_other_kinds_are_taken() -> None:
    np = pytest.importorskip("numpy")
    found = resolve("train", {"epochs": np.int64(3), "learning_rate": 1})
    assert (type(found.epochs), found.epochs) == (int, 3)
    assert (type(found.learning_rate), found.learning_rate) == (float, 1.0)


def test_fractions_must_leave_something() -> None:
    assert "nothing to train on" in refusal("pairs", {"val_fraction": 0.5, "test_fraction": 0.5})
    assert resolve("pairs", {"val_fraction": 0.5, "test_fraction": 0.4}).test_fraction == 0.4


def test_all_mistakes_are_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    write("detect = 3\n[train]\nepochs = 'many'\nepoch = 2\n[pears]\nseed = 1\n")
    monkeypatch.setenv("SYNCTOOL_PAIRS_SED", "4")
    monkeypatch.setenv("SYNCTOOL_PAIRS_SEED", "minus one")
    monkeypatch.setenv("SYNCTOOL_DETCT_MAX_OFFSET", "20")
    cause = refusal("detect", {"max_faces": 0, "backbon": "x"})
    for words in (
        "9 settings are wrong",
        "detect must be a table",
        "[train] epochs: 'many' is not a whole number",
        "[train] epoch: unknown setting (did you mean 'epochs'?)",
        "unknown table [pears] (did you mean 'pairs'?)",
        "SYNCTOOL_PAIRS_SED: unknown setting (did you mean 'seed'?)",
        "SYNCTOOL_PAIRS_SEED: 'minus one' is not a whole number",
        "SYNCTOOL_DETCT_MAX_OFFSET: unknown setting (did you mean 'SYNCTOOL_DETECT_MAX_OFFSET'?)",
        "--max-faces: 0 is out of range",
        "--backbon: unknown setting (did you mean 'backbone'?)",
    ):
        assert words in cause


def test_other_variables_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SYNCTOOL_PLUGINS", "SYNCTOOL_STRICT", "SYNCTOOL_DEBUG", "SYNCTOOL_CACHE"):
        monkeypatch.setenv(name, "1")
    assert resolve("detect").max_offset == 15


def test_the_result_is_fixed_and_travels() -> None:
    found = resolve("detect")
    with pytest.raises(AttributeError):
        found.max_offset = 3
    with pytest.raises(AttributeError):
        del found.max_offset
    assert pickle.loads(pickle.dumps(found)) == found
    assert copy.deepcopy(found) == found
    found.as_dict()["max_offset"] = 99
    assert found.max_offset == 15


def test_the_table_can_be_read() -> None:
    row = setting("detect", "max_offset")
    assert (row.flag, row.default, row.minimum, row.maximum) == ("--max-offset", 15, 15, 125)
    assert config.env_name("detect", "max_offset") == "SYNCTOOL_DETECT_MAX_OFFSET"
    with pytest.raises(KeyError):
        setting("detect", "nothing")
    with pytest.raises(KeyError):
        resolve("nothing")


def test_bounds_are_written_in_full() -> None:
    assert "0 to 4294967295" in setting("train", "seed").help_text
    row = config.Setting("a", float, 0.5, "A", minimum=0.25, maximum=1e6)
    assert row.range_text == "0.25 to 1000000"
    assert config.Setting("a", int, 1, "A", maximum=7).range_text == "at most 7"
    for section in SECTIONS.values():
        assert not any("e+" in row.help_text for row in section)
