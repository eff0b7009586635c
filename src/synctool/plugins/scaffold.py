"""``plugins new``: a working plugin of its own to start from."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from difflib import get_close_matches
from importlib import metadata, resources
from pathlib import Path
from string import Template
from typing import Literal

from synctool.errors import OutputError, PluginError, UsageError
from synctool.files import make_folder, output_error
from synctool.plugins import registry
from synctool.temporaries import temporary_beside

EncoderRole = Literal["video", "audio"]
_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_PREFIX = "synctool-plugin-"
_WORDS = {
    "video": {
        "takes": "grey mouth crops",
        "other": "audio",
        "input_type": "VideoInput",
        "summary": "small convolutional network on grey mouth crops",
        "input_fields": (
            'video=VideoInput(crop="mouth", size_px=72, colour="gray"),',
            "receptive_field_frames=9,",
            "# Crops of another kind and size fit, too.",
            "any_crop=True,",
        ),
    },
    "audio": {
        "takes": "log-mel bands",
        "other": "video",
        "input_type": "AudioInput",
        "summary": "small convolutional network on log-mel bands",
        "input_fields": (
            'audio=AudioInput(kind="logmel64"),',
            "audio_receptive_field_frames=11,",
        ),
    },
}
"""What the templates say about an encoder of each role."""


@dataclass(frozen=True)
class NewPlugin:
    """A plugin that was made.

    Attributes:
        name: Name of its network.
        folder: Where it is.
        files: Its files, relative to the folder.
        pair: A pair of its network and a built-in one, which can be trained.
    """

    name: str
    folder: Path
    files: tuple[Path, ...]
    pair: str


def new_plugin(name: str, *, role: str = "video", folder: Path | None = None) -> NewPlugin:
    """Write a plugin with a small encoder that trains, ready to be installed and changed.

    Args:
        name: Name of the encoder: lower case, digits and dashes.
        role: ``video`` or ``audio``.
        folder: Where to, which must not be there; None is ``synctool-plugin-NAME`` here.

    Raises:
        UsageError: The name is no name or is taken, or there is no such role.
        OutputError: The folder is there already or cannot be written.
    """
    _check_role(role)
    _check_name(name)
    folder = Path(_PREFIX + name) if folder is None else folder
    pair = f"{name}+fcn-mel" if role == "video" else f"fcn-mouth+{name}"
    texts = _texts(name, role, pair)
    if os.path.lexists(folder):
        raise OutputError(
            f"{folder} is there already, and nothing was changed",
            remedy="Choose another folder with --out.",
        )
    try:
        _write(folder, texts)
    except OSError as error:
        raise output_error(folder, error) from error
    return NewPlugin(name, folder, tuple(texts), pair)


def _check_role(role: str) -> None:
    if role not in _WORDS:
        near = get_close_matches(role.lower(), _WORDS, n=1)
        remedy = f"Did you mean {near[0]}?" if near else f"It is {' or '.join(_WORDS)}."
        raise UsageError(f"there is no role {role!r} for an encoder", remedy=remedy)


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name) or name.startswith(_PREFIX):
        words = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-").removeprefix(_PREFIX)
        raise UsageError(
            f"{name!r} cannot be the name of an encoder",
            remedy="It has lower case, digits and single dashes, without synctool-plugin- before it"
            + (f", for example {words}." if words else "."),
        )
    try:
        registry.backbones.get(name)
        owner = "a network"
    except UsageError as error:
        # A network without a default tag has the name, too.
        owner = None if error.cause.startswith("there is no") else "a network"
    except PluginError:
        owner = "two plugins"
    if owner is None and _installed(_PREFIX + name):
        owner = f"the distribution {_PREFIX}{name}"
    if owner is not None:
        raise UsageError(
            f"the name {name!r} is taken by {owner}",
            remedy=f"Choose another, for example my-{name}; 'synctool backbones' and "
            "'synctool plugins list' show which there are.",
        )


def _installed(distribution: str) -> bool:
    try:
        metadata.distribution(distribution)
    except metadata.PackageNotFoundError:
        return False
    return True


def _texts(name: str, role: str, pair: str) -> dict[Path, str]:
    """All files of the plugin, by their paths in its folder."""
    slug = name.replace("-", "_")
    module, test = f"synctool_plugin_{slug}", f"test_{slug}.py"
    package = Path("src", module)
    places = {
        Path("pyproject.toml"): "pyproject.toml",
        Path("README.md"): "README.md",
        package / "__init__.py": "init.py",
        package / "encoder.py": f"{role}.py",
        Path("tests", test): "test.py",
    }
    words = {
        **_WORDS[role],
        "input_fields": "\n".join(" " * 12 + line for line in _WORDS[role]["input_fields"]),
        "name": name,
        "role": role,
        "pair": pair,
        "module": module,
        "test": test,
        "distribution": _PREFIX + name,
    }
    templates = resources.files("synctool.plugins").joinpath("templates")
    return {
        path: Template(templates.joinpath(f"{source}.template").read_text("utf-8")).substitute(
            words
        )
        for path, source in places.items()
    }


def _write(folder: Path, texts: dict[Path, str]) -> None:
    """Write all of it beside the folder first: there is never a half of a plugin."""
    make_folder(folder.parent)
    with temporary_beside(folder, folder=True) as beside:
        for path, text in texts.items():
            target = beside / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, "utf-8")
        beside.rename(folder)
