"""Where settings come from, which place wins, and that all mistakes are told at once."""

from __future__ import annotations

import copy
import errno
import os
import pickle
from dataclasses import FrozenInstanceError, dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest

from synctool.errors import EXIT_MISSING, EXIT_USAGE, MissingError, UsageError
from synctool.settings import sources
from synctool.settings.base import Settings, row_of, rows
from synctool.settings.compare import CompareSettings
from synctool.settings.detect import DetectSettings
from synctool.settings.fields import Line, Setting, setting
from synctool.settings.pairs import PairsSettings
from synctool.settings.preprocess import PreprocessSettings
from synctool.settings.sources import SECTIONS
from synctool.settings.train import TrainSettings
from synctool.types import DEFAULT_MAX_OFFSET


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.upper().startswith("SYNCTOOL_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def write(text: str, name: str = "synctool.toml") -> None:
    Path(name).write_text(text, encoding="utf-8")


def resolve(section: str, flags: dict[str, object] | None = None) -> Any:
    return sources.resolve(SECTIONS[section], flags)


def refusal(section: str = "detect", flags: dict[str, object] | None = None) -> str:
    with pytest.raises(UsageError) as caught:
        resolve(section, flags)
    assert caught.value.exit_code == EXIT_USAGE
    return caught.value.cause


DEFAULTS = {
    "detect": {
        "backbone": "fcn-cls",
        "max_offset": DEFAULT_MAX_OFFSET,
        "device": "auto",
        "detector": "centerface",
        "audio_track": None,
        "video_track": None,
        "channel": "auto",
        "max_faces": 4,
    },
    "preprocess": {"detector": "centerface", "jobs": 0, "min_frames": 12, "shard_videos": 64},
    "pairs": {
        "max_offset": DEFAULT_MAX_OFFSET,
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
        "max_offset": DEFAULT_MAX_OFFSET,
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
    "row", [row for kind in SECTIONS.values() for row in rows(kind)], ids=lambda row: row.name
)
def test_every_setting_allows_its_own_default(row: Setting) -> None:
    assert row.parse(row.default) == row.default
    if row.default_text:
        assert row.parse(row.default_text, text=True) == row.default
        assert f"default {row.default_text}" in row.help_text
    assert row.line.help[0].isupper() or row.line.help.startswith(("split.json", "tar "))
    assert not row.line.help.endswith(".")


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


def test_a_file_that_may_not_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("synctool.toml").write_text("[detect]\n")

    def refused(path: Path) -> dict[str, Any]:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(sources, "read_toml", refused)
    with pytest.raises(
        MissingError, match=r"synctool\.toml cannot be read: Permission denied\. Check"
    ):
        resolve("detect")


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
        ({"max_offset": "20.5"}, ["'20.5' is not a whole number"]),
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
    with pytest.raises(FrozenInstanceError):
        found.max_offset = 30
    assert pickle.loads(pickle.dumps(found)) == found
    assert copy.deepcopy(found) == found
    found.as_dict()["max_offset"] = 99
    assert found.max_offset == DEFAULT_MAX_OFFSET


def test_a_line_gives_flag_range_and_variable() -> None:
    row = row_of(DetectSettings, "max_offset")
    assert (row.flag, row.line.short, row.default) == ("--max-offset", "-k", DEFAULT_MAX_OFFSET)
    assert row.range_text == "15 to 125"
    assert sources.env_name("detect", "max_offset") == "SYNCTOOL_DETECT_MAX_OFFSET"
    assert row_of(PairsSettings, "max_offset").line.minimum == 1, "labels of pairs may be smaller"
    with pytest.raises(KeyError):
        row_of(DetectSettings, "nothing")


def test_bounds_are_written_in_full() -> None:
    assert "0 to 4294967295" in row_of(TrainSettings, "seed").help_text
    row = Setting("a", float, 0.5, Line(help="A", minimum=0.25, maximum=1e6))
    assert row.range_text == "0.25 to 1000000"
    assert Setting("a", int, 1, Line(help="A", maximum=7)).range_text == "at most 7"


def test_a_type_that_no_setting_can_have() -> None:
    @dataclass(frozen=True, kw_only=True)
    class Odd(Settings):
        section: ClassVar[str] = "odd"
        when: complex = setting(0j, "When")

    with pytest.raises(TypeError, match="when"):
        rows(Odd)


# ------------------------------------------------------------------------------ from Python


def test_a_wrong_value_is_the_same_error_from_every_side() -> None:
    for refused in (
        lambda: DetectSettings(max_offset=3),
        lambda: DetectSettings.of(None, {"max_offset": 3}),
        lambda: resolve("detect", {"max_offset": 3}),
    ):
        with pytest.raises(UsageError, match="3 is out of range: 15 to 125"):
            refused()


def test_changes_go_over_settings() -> None:
    begun = DetectSettings(max_offset=40, max_faces=2)
    found = DetectSettings.of(begun, {"max_faces": 3, "weights": "a.pt", "trust": "ab"})
    assert (found.max_offset, found.max_faces) == (40, 3)
    assert (found.weights, found.trust) == (Path("a.pt"), ("ab",))
    with pytest.raises(UsageError) as caught:
        DetectSettings.of(begun, {"max_face": 3, "device": "gpu"})
    assert "max_face: unknown setting (did you mean 'max_faces'?)" in caught.value.cause
    assert "'gpu' is not one of" in caught.value.cause
    with pytest.raises(UsageError, match="DetectSettings"):
        CompareSettings.of(begun, {})


def test_lists_are_taken_in_every_form() -> None:
    found = CompareSettings(backbones=["syncnet", "fcn-cls"], shift=[-2, 1.5], by="person, source")
    assert found.backbones == ("syncnet", "fcn-cls")
    assert (found.shift, found.by) == ("-2,1.5", ("person", "source"))
    assert found.plain()["backbones"] == "syncnet,fcn-cls"
    assert CompareSettings().plain()["by"] is None


@pytest.mark.parametrize(
    ("kind", "flags", "needs"),
    [
        (PreprocessSettings, {"address": "auto"}, "--address .* without --engine ray"),
        (PreprocessSettings, {"weights": "a"}, "--weights .* without --sync-correct"),
        (PairsSettings, {"negatives_per_clip": 1, "offsets": "3"}, "--negatives-per-clip"),
        (TrainSettings, {"train_top": 1}, "--train-top .* without --freeze SIDE"),
        (TrainSettings, {"plateau_epochs": 1}, "without --schedule plateau"),
    ],
)
def test_a_flag_without_effect_is_refused(
    kind: type[Settings], flags: dict[str, Any], needs: str
) -> None:
    with pytest.raises(UsageError, match=needs):
        sources.resolve(kind, flags)
    with pytest.raises(UsageError, match=needs):
        kind.of(None, flags)


def test_a_settings_file_may_hold_what_is_not_needed_now() -> None:
    write("[preprocess]\naddress = 'auto'\n")
    assert resolve("preprocess").address == "auto"


def test_an_earlier_name_is_taken_with_a_warning(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    write("[preprocess]\nworkers = 3\n")
    assert resolve("preprocess").jobs == 3
    assert "[preprocess] workers is called" in caplog.text
    monkeypatch.setenv("SYNCTOOL_PREPROCESS_WORKERS", "4")
    assert resolve("preprocess").jobs == 4
    assert "SYNCTOOL_PREPROCESS_WORKERS is called SYNCTOOL_PREPROCESS_JOBS now" in caplog.text
    write("[preprocess]\nworkers = 3\njobs = 2\n")
    assert "jobs is there, too" in refusal("preprocess")


def test_a_settings_file_cannot_let_a_model_run_code(monkeypatch: pytest.MonkeyPatch) -> None:
    write(f"[detect]\ntrust = ['{'0' * 64}']\n")
    assert "--trust can be given as a flag only" in refusal()
    write("")
    monkeypatch.setenv("SYNCTOOL_DETECT_TRUST", "0" * 64)
    assert "SYNCTOOL_DETECT_TRUST: --trust" in refusal()
