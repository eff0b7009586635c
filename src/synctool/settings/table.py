"""The one table of settings: names, defaults, ranges and help, and the order they are read in.

A built-in default gives way to the settings file (``synctool.toml`` in the current folder, or the
file that ``SYNCTOOL_CONFIG`` names), that to the environment (``SYNCTOOL_<SECTION>_<NAME>``, for
example ``SYNCTOOL_DETECT_MAX_OFFSET``), and that to flags. Help texts take their numbers from here.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from math import isfinite
from numbers import Integral, Real
from pathlib import Path
from types import MappingProxyType, SimpleNamespace
from typing import Any, NoReturn

from synctool.errors import MissingError, UsageError
from synctool.untrusted.documents import read_toml
from synctool.untrusted.origin import MalformedError

FILE_NAME = "synctool.toml"
ENV_PREFIX = "SYNCTOOL_"
ENV_FILE = "SYNCTOOL_CONFIG"

RECORD = "run"
"""Table of a settings file that a run added to its settings: what it was made with. It is passed over."""

_KINDS = {
    int: "a whole number",
    float: "a number",
    str: "a text",
    bool: "true or false",
    Path: "a path",
    tuple: "a list of texts or tables",
    dict: "a text or a table",
}
_TAKEN = {int: Integral, float: Real, str: str, Path: (str, Path), dict: str}
_AUTO = ("auto", "yes", "no")
_TRUTHS = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}


@dataclass(frozen=True)
class Setting:
    """One setting of one section.

    Attributes:
        name: Name in Python and in the file; the flag has dashes in place of underscores.
        type: ``int``, ``float``, ``str``, ``bool``, ``Path``, ``tuple`` for a list of texts or tables,
            or ``dict`` for a table that may be written as one text.
        default: Value when nobody says anything else; None where there is none.
        help: One line without a closing full stop.
        minimum: Least value allowed, None for no bound.
        maximum: Greatest value allowed, None for no bound.
        choices: The only values allowed, empty for any. ``auto``, ``yes`` and ``no`` may be given as
            true and false too, and are a flag with its opposite on the command line.
        option: Name of the flag, where it is not the setting's.
    """

    name: str
    type: type
    default: Any
    help: str
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()
    option: str = ""

    @property
    def flag(self) -> str:
        """The name on the command line, for example ``--max-offset``."""
        name = self.option or self.name.replace("_", "-")
        return f"--{name}/--no-{name}" if self.switch else f"--{name}"

    @property
    def switch(self) -> bool:
        """Whether it is switched on and off; one with ``auto`` may be left to the program."""
        return self.type is bool or self.choices == _AUTO

    @property
    def range_text(self) -> str:
        """The values allowed in words, empty when any will do."""
        if self.choices:
            return ", ".join(self.choices)
        if self.minimum is not None and self.maximum is not None:
            return f"{_figure(self.minimum)} to {_figure(self.maximum)}"
        if self.maximum is not None:
            return f"at most {_figure(self.maximum)}"
        return "" if self.minimum is None else f"at least {_figure(self.minimum)}"

    @property
    def help_text(self) -> str:
        """Help, values allowed and default, for ``--help``."""
        given = self.default is not None and self.default is not False
        default = f"default {self.default}" if given else ""
        extra = "; ".join(filter(None, ["" if self.switch else self.range_text, default]))
        return f"{self.help} ({extra})." if extra else f"{self.help}."

    def parse(self, value: object, *, text: bool = False) -> Any:
        """Check a value and bring it to the setting's type.

        Args:
            value: What the file, the environment or a flag holds.
            text: Whether the value is text that has still to be read as a number.

        Raises:
            ValueError: If the value has the wrong type or lies outside what is allowed; the message
                continues a sentence that begins with the name of the setting.
        """
        if self.default is None and (value is None or (text and str(value).lower() == "none")):
            return None
        parsed = self._typed(value, text=text)
        if self.choices and parsed not in self.choices:
            near = did_you_mean(str(parsed), self.choices)
            raise ValueError(f"{parsed!r} is not one of {self.range_text}{near}")
        too_low = self.minimum is not None and parsed < self.minimum
        too_high = self.maximum is not None and parsed > self.maximum
        if too_low or too_high:
            raise ValueError(f"{parsed} is out of range: {self.range_text}")
        return parsed

    def _typed(self, value: object, *, text: bool) -> Any:
        if self.type is bool:
            return self._truth(value, text=text)
        if text and self.type is tuple:
            value = [part.strip() for part in str(value).split(";") if part.strip()]
        elif text and self.type not in (str, dict):
            try:
                value = self.type(str(value).strip())
            except ValueError:
                self._wrong_type(value)
        if self.switch and isinstance(value, bool):
            value = "yes" if value else "no"
        if self.type is tuple:
            return self._listed(value)
        if self.type is dict and isinstance(value, Mapping):
            return dict(value)
        wanted = _TAKEN[self.type]
        if isinstance(value, bool) or not isinstance(value, wanted):
            self._wrong_type(value)
        kept = str if self.type is dict else self.type
        typed = kept(value.strip() if isinstance(value, str) else value)
        if not str(value).strip() or (self.type is float and not isfinite(typed)):
            self._wrong_type(value)
        return typed

    def _truth(self, value: object, *, text: bool) -> bool:
        known = _TRUTHS.get(str(value).strip().lower()) if text else value
        if not isinstance(known, bool):
            self._wrong_type(value)
        return known

    def _listed(self, value: object) -> tuple[str | Mapping[str, Any], ...]:
        if not isinstance(value, list | tuple) or not all(
            isinstance(x, str | Mapping) for x in value
        ):
            self._wrong_type(value)
        return tuple(x if isinstance(x, str) else dict(x) for x in value)

    def _wrong_type(self, value: object) -> NoReturn:
        raise ValueError(f"{value!r} is not {_KINDS[self.type]}")


def _figure(value: float) -> str:
    """A bound in full: ``:g`` would round whole numbers of more than six digits."""
    return str(int(value)) if float(value).is_integer() else f"{value:g}"


_SEED_LIMIT = 2**32 - 1
_BACKBONE = Setting("backbone", str, "fcn-cls", "Network, as listed by synctool backbones")
_DEVICE = Setting(
    "device", str, "auto", "Where the network runs", choices=("auto", "cpu", "cuda", "mps")
)
_RUNTIME = Setting(
    "runtime", str, "auto", "What runs the network: torch, an export format, or auto for the faster"
)
_DETECTOR = Setting("detector", str, "centerface", "Face detector, as listed by synctool detectors")
_MAX_OFFSET = Setting(
    "max_offset", int, 15, "Largest offset searched, in frames of 40 ms", minimum=15, maximum=125
)
_AUDIO_TRACK = Setting(
    "audio_track", int, None, "Audio track, from 0; that of a player unless given", minimum=0
)
_VIDEO_TRACK = Setting(
    "video_track", int, None, "Video track, from 0; that of a player unless given", minimum=0
)
_CHANNEL = Setting(
    "channel",
    str,
    "auto",
    "Audio channel: a number from 0, a name such as FC, mix, or auto to choose by speech",
)
_STREAMS = (_VIDEO_TRACK, _AUDIO_TRACK, _CHANNEL)
_STALL_TIMEOUT = Setting(
    "stall_timeout",
    float,
    300.0,
    "Longest wait for a frame of a video, in seconds, before it is given up; 0 waits for ever",
    minimum=0,
)
_ALLOW_EXTERNAL = Setting(
    "allow_external", bool, False, "Let playlists name local files outside their own folder"
)
_MAX_FACES = Setting("max_faces", int, 4, "Most faces followed at a time", minimum=1)
_SEED = Setting("seed", int, 0, "Seed of all random choices", minimum=0, maximum=_SEED_LIMIT)

SECTIONS: Mapping[str, tuple[Setting, ...]] = MappingProxyType(
    {
        "detect": (
            _BACKBONE,
            _MAX_OFFSET,
            _DEVICE,
            _RUNTIME,
            _DETECTOR,
            *_STREAMS,
            _MAX_FACES,
            _ALLOW_EXTERNAL,
            _STALL_TIMEOUT,
        ),
        "preprocess": (
            *_STREAMS,
            _DETECTOR,
            _ALLOW_EXTERNAL,
            _STALL_TIMEOUT,
            Setting(
                "workers",
                int,
                0,
                "Worker processes, 0 for one per core, 1 for none beside the program",
                minimum=0,
            ),
            Setting("min_frames", int, 12, "Shortest clip kept, in frames of 40 ms", minimum=1),
            Setting("crop", str, "mouth", "What is cut out", choices=("mouth", "face")),
            Setting(
                "size",
                int,
                0,
                "Side of the crops in pixels, 0 for 96 (mouth) or 224 (face)",
                minimum=0,
                maximum=1024,
            ),
            Setting(
                "colour",
                str,
                "auto",
                "Colour of the crops, auto for grey mouths and rgb faces",
                choices=("auto", "gray", "rgb"),
            ),
            Setting(
                "layout",
                str,
                "packed",
                "tar shards, or a folder of files per clip",
                choices=("packed", "folders"),
            ),
            Setting("tree", str, "auto", "Folder layout of the films, which tells who speaks"),
            Setting("max_faces", int, 1, "Most faces followed at a time, the largest", minimum=1),
            Setting(
                "min_face", int, 48, "Least height of a face, in pixels of the film", minimum=0
            ),
            Setting("shard_films", int, 64, "Most films in one shard", minimum=1),
            Setting(
                "engine",
                str,
                "local",
                "Where the workers are: this machine, or a Ray cluster",
                choices=("local", "ray"),
            ),
            Setting(
                "sync_confidence",
                float,
                0.5,
                "Least confidence with which a clip is brought into sync and not dropped",
                minimum=0,
                maximum=1,
            ),
        ),
        "pairs": (
            replace(_MAX_OFFSET, help="Largest offset made, in frames of 40 ms"),
            Setting(
                "offsets",
                str,
                "random",
                "Offsets of the moved pairs in frames: random, or fixed ones such as -5,5,10",
            ),
            Setting("negatives_per_clip", int, 2, "Shifted pairs made of one clip", minimum=0),
            Setting(
                "hard_negatives",
                int,
                0,
                "Further pairs of a clip, shifted by 1 or 2 frames",
                minimum=0,
                maximum=4,
            ),
            Setting(
                "other_speaker",
                int,
                0,
                "Further pairs of a clip, with another speaker's sound",
                minimum=0,
                maximum=1000,
            ),
            Setting("val_fraction", float, 0.1, "Part kept for validation", minimum=0, maximum=0.9),
            Setting("test_fraction", float, 0.1, "Part kept for testing", minimum=0, maximum=0.9),
            Setting(
                "unnamed",
                str,
                "auto",
                "How people without a name are told apart, auto for by face while they are few",
                choices=("auto", "face", "film"),
            ),
            _SEED,
        ),
        "train": (
            Setting("data", Path, None, "Folder made by synctool preprocess"),
            Setting("out", Path, None, "Folder of the run"),
            replace(_BACKBONE, help="Network to train, as listed by synctool backbones"),
            Setting(
                "task",
                str,
                "sync",
                "What is learned: offsets, or a task without labels to begin with",
                choices=("sync", "avc", "order", "masked", "retrieval"),
            ),
            Setting(
                "options",
                tuple,
                None,
                "NAME=VALUE of the network, once for each; video.NAME and audio.NAME in a pair",
                option="option",
            ),
            Setting(
                "pretrained",
                str,
                "auto",
                "Published weights in the encoders of a pair; auto takes those that are here",
                choices=_AUTO,
            ),
            Setting(
                "use_attention",
                str,
                "auto",
                "Attention, in networks that leave the choice",
                choices=_AUTO,
            ),
            Setting("split", Path, None, "split.json of synctool pairs, unless in the data folder"),
            Setting(
                "pairs",
                Path,
                None,
                "File of synctool pairs to train on; offsets are drawn on the fly unless given",
            ),
            Setting(
                "constants",
                Path,
                None,
                "JSON object with the constant offset in frames by sample, person or source",
            ),
            Setting("source", str, None, "Train on the films of this source only"),
            Setting("init", Path, None, "Weights to start from"),
            Setting("teacher", Path, None, "Weights of a trained network to learn from as well"),
            Setting(
                "targets",
                Path,
                None,
                "Further values of every frame to learn from the pictures, as safetensors",
            ),
            Setting(
                "backgrounds",
                Path,
                None,
                "Folder with recorded rooms, noises and music to add, in rir/, noise/, music/",
            ),
            Setting(
                "losses",
                tuple,
                None,
                "Loss NAME[=WEIGHT[,OPTION=VALUE...]], once for each of a mixture",
                option="loss",
            ),
            Setting("epochs", int, 10, "Rounds of training", minimum=1),
            Setting("steps_per_epoch", int, 200, "Steps in one round", minimum=1),
            Setting("batch_size", int, 32, "Clips in one batch, of all processes", minimum=1),
            Setting("accumulate", int, 1, "Batches whose gradients make one step", minimum=1),
            Setting("learning_rate", float, 0.002, "Greatest step size", minimum=1e-7, maximum=1),
            Setting(
                "schedule",
                str,
                "one-cycle",
                "How the step size goes over the run",
                choices=("one-cycle", "cosine", "plateau", "constant"),
            ),
            Setting(
                "warmup",
                float,
                None,
                "Part of the run in which the step size rises, one-cycle's being 0.1",
                minimum=0,
                maximum=0.9,
            ),
            Setting(
                "plateau_epochs",
                int,
                3,
                "Epochs without a better score before plateau halves the step size",
                minimum=1,
            ),
            Setting("weight_decay", float, 0.02, "Weight decay of AdamW", minimum=0, maximum=10),
            Setting("clip_norm", float, 1.0, "Longest gradient, 0 for any", minimum=0),
            Setting(
                "ema",
                float,
                0.998,
                "Part of the averaged weights kept in a step, 0 for no average",
                minimum=0,
                maximum=0.99999,
            ),
            Setting(
                "early_stopping",
                int,
                0,
                "Epochs without a better score before the run ends, 0 for never",
                minimum=0,
            ),
            replace(_MAX_OFFSET, help="Largest offset learned, in frames of 40 ms"),
            Setting("window_frames", int, 24, "Length of a clip, in frames of 40 ms", minimum=5),
            Setting("augment", float, 1.0, "Strength of the augmentation", minimum=0, maximum=1),
            Setting(
                "augmentations",
                dict,
                None,
                "Changes to single augmentations, as in codec=0.2,noise=0.5:1.5,hand=off",
            ),
            Setting(
                "curriculum",
                int,
                0,
                "Epochs until short, quiet and far-moved windows come as often as others",
                minimum=0,
            ),
            Setting(
                "progressive_resolution",
                int,
                0,
                "Epochs in which the pictures get sharper",
                minimum=0,
            ),
            Setting(
                "freeze",
                str,
                "none",
                "Encoders that stay as they are",
                choices=("none", "video", "audio", "both"),
            ),
            Setting(
                "train_top",
                int,
                0,
                "Groups of layers, from the top, of frozen encoders that are trained all the same",
                minimum=0,
            ),
            Setting(
                "unfreeze_epoch",
                int,
                0,
                "Epoch from which the encoders are trained, top layers first; 0 for the start",
                minimum=0,
            ),
            Setting(
                "unfreeze_every",
                int,
                1,
                "Epochs from one group of layers to the next below",
                minimum=1,
            ),
            Setting(
                "layer_decay",
                float,
                1.0,
                "Step size of a group of layers relative to the one above",
                minimum=0.01,
                maximum=1,
            ),
            _SEED,
            replace(_DEVICE, help="Where the training runs"),
            Setting(
                "precision",
                str,
                "auto",
                "Numbers that the network computes with",
                choices=("auto", "float32", "bfloat16", "float16"),
            ),
            Setting("devices", int, 1, "Processes on this machine that train together", minimum=1),
            Setting("nodes", int, 1, "Machines that train together", minimum=1),
            Setting("workers", int, 1, "Processes that make batches, 0 for none", minimum=0),
            Setting(
                "cache_mb",
                int,
                4096,
                "Memory for clips that were read, in MiB, of all workers together",
                minimum=0,
            ),
            Setting(
                "save_every", int, 0, "Steps between saves inside an epoch, 0 for none", minimum=0
            ),
            Setting(
                "save_minutes",
                float,
                10.0,
                "Minutes between saves inside an epoch, 0 for none",
                minimum=0,
            ),
            Setting("log_every", int, 50, "Steps that a row of steps.csv stands for", minimum=1),
            Setting(
                "tensorboard",
                str,
                "auto",
                "Write TensorBoard's files, auto where tensorboardX is installed",
                choices=_AUTO,
            ),
        ),
        "compare": (
            Setting(
                "backbones",
                str,
                "fcn-cls",
                "Networks with commas between, as listed by synctool backbones; NAME=FILE takes "
                "weights of one's own, NAME=FOLDER an exported model",
            ),
            Setting(
                "shift",
                str,
                None,
                "Move the sound ahead, too, by frames such as -10,-5,5,10, or random:N for N moves",
            ),
            Setting(
                "pieces",
                float,
                0.0,
                "Length in seconds of pieces that must agree with their film, 0 for no such test",
                minimum=0,
            ),
            Setting(
                "perturb",
                str,
                None,
                "Make the films worse, too: all, names, noise:1-3; list shows what there is",
            ),
            Setting(
                "by",
                str,
                None,
                "Metrics of groups, too: person, source, language, condition, perturbation",
            ),
            _MAX_OFFSET,
            _DETECTOR,
            _DEVICE,
            _RUNTIME,
            *_STREAMS,
            _MAX_FACES,
            _ALLOW_EXTERNAL,
            _STALL_TIMEOUT,
            _SEED,
            Setting("jobs", int, 1, "Films at a time, 0 for one per core", minimum=0),
        ),
        "export": (
            replace(_BACKBONE, help="Network to export, as listed by synctool backbones"),
            Setting("format", str, "onnx", "Format, as listed by --list-formats"),
            Setting("parts", str, "video,audio,head", "Graphs to write, or one for all in one"),
            Setting("windows", int, 100, "Windows that are compared with PyTorch", minimum=1),
            _DETECTOR,
            _ALLOW_EXTERNAL,
            _SEED,
        ),
        "download": (
            Setting("parallel", int, 4, "Parts of a file fetched at once", minimum=1, maximum=16),
            Setting("retries", int, 5, "Tries again after a failure of the line", minimum=0),
            Setting("timeout_s", float, 30.0, "Longest silence of a server, in seconds", minimum=1),
            Setting(
                "wait_s",
                float,
                1.0,
                "First wait before trying again, in seconds; each further one is twice as long",
                minimum=0,
            ),
        ),
    }
)
"""All settings, by section. The sections are the names of commands and of tables in the file."""


class Settings(SimpleNamespace):
    """The settings of one section as attributes; they cannot be changed."""

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"settings are fixed; cannot set {name!r}")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"settings are fixed; cannot delete {name!r}")

    def as_dict(self) -> dict[str, Any]:
        """A new dictionary of the same names and values."""
        return dict(vars(self))


def setting(section: str, name: str) -> Setting:
    """The row of the table for one setting.

    Raises:
        KeyError: If there is no such section or setting.
    """
    return {s.name: s for s in SECTIONS[section]}[name]


def env_name(section: str, name: str) -> str:
    """The environment variable of a setting, for example ``SYNCTOOL_DETECT_MAX_OFFSET``."""
    return f"{ENV_PREFIX}{section}_{name}".upper()


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`` (did you mean 'x'?)`` for the nearest known name, empty when none is near."""
    near = get_close_matches(name.lower(), list(known), n=1)
    return f" (did you mean {near[0]!r}?)" if near else ""


def resolve(
    section: str, flags: Mapping[str, object] | None = None, *, file: Path | None = None
) -> Settings:
    """Read one section from all places, the later ones winning.

    The whole file and all ``SYNCTOOL_*`` variables are checked, not only the section asked for, so
    that a mistake is told before a long job and not after it.

    Args:
        section: Name of a table, such as ``detect``.
        flags: Values by setting name; None means that the flag was not given.
        file: The settings file; None for the usual one.

    Returns:
        The settings of the section as attributes.

    Raises:
        KeyError: If there is no such section.
        MissingError: If ``file`` or ``SYNCTOOL_CONFIG`` names a file that does not exist.
        UsageError: Naming every unknown setting and wrong value at once.
    """
    problems: list[str] = []
    values = {name: {s.name: s.default for s in rows} for name, rows in SECTIONS.items()}
    _read_file(values, problems, file)
    _read_environment(values, problems)
    given = {name: value for name, value in (flags or {}).items() if value is not None}
    _take(section, given, values, problems, _flag_of(section))
    pairs = values["pairs"]
    if pairs["val_fraction"] + pairs["test_fraction"] >= 1:
        problems.append("pairs: val_fraction and test_fraction together leave nothing to train on")
    if problems:
        listed = "\n".join(f"  - {p}" for p in problems)
        cause = (
            problems[0] if len(problems) == 1 else f"{len(problems)} settings are wrong:\n{listed}"
        )
        raise UsageError(
            cause, remedy=f"'synctool {section} --help' lists the settings and what they may be."
        )
    return Settings(**values[section])


def _flag_of(section: str) -> Callable[[str], str]:
    options = {s.name: s.option for s in SECTIONS[section] if s.option}
    return lambda name: "--" + options.get(name, name.replace("_", "-"))


def _take(
    section: str,
    given: Mapping[str, object],
    values: dict[str, dict[str, Any]],
    problems: list[str],
    label: Callable[[str], str],
    *,
    text: bool = False,
) -> None:
    """Check ``given`` values of one section into ``values``; ``label`` says where they stand."""
    rows = {s.name: s for s in SECTIONS[section]}
    for name, value in given.items():
        if name not in rows:
            problems.append(f"{label(name)}: unknown setting{did_you_mean(name, list(rows))}")
            continue
        try:
            values[section][name] = rows[name].parse(value, text=text)
        except ValueError as error:
            problems.append(f"{label(name)}: {error}")


def _read_file(
    values: dict[str, dict[str, Any]], problems: list[str], given_file: Path | None
) -> None:
    named = given_file or os.environ.get(ENV_FILE)
    path = Path(named).expanduser() if named else Path(FILE_NAME)
    if not path.is_file():
        if named:
            remedy = "Check its path." if given_file else f"Mend or unset {ENV_FILE}."
            raise MissingError(f"the settings file {named} does not exist", remedy=remedy)
        return
    try:
        tables = read_toml(path)
    except (OSError, MalformedError) as error:
        raise UsageError(
            f"the settings file {path} cannot be read: {error}", remedy="Mend it, or move it away."
        ) from error
    for section, given in tables.items():
        if section == RECORD and isinstance(given, dict):
            continue
        if section not in SECTIONS:
            near = did_you_mean(section, list(SECTIONS))
            problems.append(f"{path}: unknown table [{section}]{near}")
        elif not isinstance(given, dict):
            problems.append(f"{path}: {section} must be a table, [{section}]")
        else:
            _take(section, given, values, problems, lambda n, s=section: f"{path} [{s}] {n}")


def _read_environment(values: dict[str, dict[str, Any]], problems: list[str]) -> None:
    known = [env_name(section, s.name) for section, rows in SECTIONS.items() for s in rows]
    by_section: dict[str, dict[str, str]] = {section: {} for section in SECTIONS}
    for variable in sorted(os.environ):
        upper, value = variable.upper(), os.environ[variable]
        if not upper.startswith(ENV_PREFIX) or not value.strip():
            continue
        section, _, name = upper.removeprefix(ENV_PREFIX).lower().partition("_")
        if section in SECTIONS and name:
            by_section[section][name] = value
        elif near := get_close_matches(upper, known, n=1, cutoff=0.9):
            problems.append(f"{variable}: unknown setting (did you mean {near[0]!r}?)")
    for section, given in by_section.items():
        _take(section, given, values, problems, lambda n, s=section: env_name(s, n), text=True)
