"""What the shell completes for ``synctool compare``: the last of several names with commas."""

from __future__ import annotations

from collections.abc import Iterable


def complete_backbones(incomplete: str) -> list[str]:
    """Names of complete networks, and of encoders to be joined with ``+``."""
    from synctool.plugins import registry

    specs = registry.backbones.all()
    joint = [spec.full_name for spec in specs if spec.role == "joint"]
    video, _, _ = incomplete.rpartition(",")[2].partition("+")
    if "+" in incomplete.rpartition(",")[2]:
        pairs = [f"{video}+{spec.full_name}" for spec in specs if spec.role == "audio"]
        return _last_of(incomplete, pairs)
    return _last_of(
        incomplete, [*joint, *(f"{spec.full_name}+" for spec in specs if spec.role == "video")]
    )


def complete_degradations(incomplete: str) -> list[str]:
    """Names and kinds of perturbations."""
    from synctool.comparison.choices import degradations

    specs = degradations()
    kinds = dict.fromkeys(spec.kind for spec in specs)
    return _last_of(incomplete, ["all", "list", *kinds, *(spec.name for spec in specs)])


def complete_by(incomplete: str) -> list[str]:
    """Groups of metrics."""
    from synctool.comparison.choices import groupings

    return _last_of(incomplete, groupings())


def _last_of(incomplete: str, names: Iterable[str]) -> list[str]:
    before, comma, begun = incomplete.rpartition(",")
    return [f"{before}{comma}{name}" for name in names if name.startswith(begun)]
