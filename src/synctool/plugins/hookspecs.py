"""The hooks that a plugin may implement: signatures only.

A plugin is a module (or any object) named by an entry point of the group ``synctool``, holding
functions with these names that are decorated with ``synctool.hookimpl``. The networks and face
detectors that come with the package use the same door. Hooks return new lists and change nothing;
``synctool_commands`` alone is given something to add to.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pluggy

from synctool.plugins.specs import (
    BackboneSpec,
    CatalogueEntry,
    DatasetSpec,
    ExporterSpec,
    FaceDetectorSpec,
    HeadSpec,
    LossSpec,
)

if TYPE_CHECKING:
    import typer

PROJECT = "synctool"
"""Name of the pluggy project and of the entry-point group."""

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)
"""Marks a function of a plugin as the implementation of the hook of the same name."""


@hookspec
def synctool_backbones() -> list[BackboneSpec]:
    """Networks that can be chosen with ``--backbone``: encoders and joint models."""
    raise NotImplementedError


@hookspec
def synctool_face_detectors() -> list[FaceDetectorSpec]:
    """Face detectors that can be chosen with ``--detector``."""
    raise NotImplementedError


@hookspec
def synctool_heads() -> list[HeadSpec]:
    """Heads that turn the embeddings of a pair into a score volume: its option ``head``."""
    raise NotImplementedError


@hookspec
def synctool_losses() -> list[LossSpec]:
    """Training losses that can be chosen and mixed by name."""
    raise NotImplementedError


@hookspec
def synctool_datasets() -> list[DatasetSpec]:
    """Folder layouts of corpora that can be chosen with ``preprocess --tree``."""
    raise NotImplementedError


@hookspec
def synctool_exporters() -> list[ExporterSpec]:
    """Formats that a trained model can be exported to with ``export --format``."""
    raise NotImplementedError


@hookspec
def synctool_catalogue() -> list[CatalogueEntry]:
    """Weights and data sets that ``synctool download`` can fetch."""
    raise NotImplementedError


@hookspec
def synctool_commands(app: typer.Typer) -> None:
    """Add commands or groups of commands.

    Args:
        app: An empty Typer application; what is added to it appears below ``synctool``. A name that
            is already taken makes the plugin broken, and none of its commands appears.
    """
    raise NotImplementedError
