"""``synctool backbones``: the networks that can be chosen, and what they cost."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from synctool.cli.common import print_table, print_text
from synctool.cli.options import JsonFile
from synctool.cli.outputs import JsonOutput
from synctool.errors import EXIT_UNEXPECTED, no_effect
from synctool.extras import installing, require
from synctool.plugins.specs import BackboneSpec

if TYPE_CHECKING:
    from synctool.networks.names import BackboneStatus
    from synctool.networks.profile import Profile


def backbones(
    names: Annotated[
        list[str] | None,
        typer.Argument(help="Networks: encoders, complete models, VIDEO+AUDIO (default: all)."),
    ] = None,
    profile: Annotated[
        bool,
        typer.Option("--profile", help="Measure size, multiply-adds, time and memory of each."),
    ] = False,
    device: Annotated[
        str | None,
        typer.Option(metavar="DEVICE", help="Where --profile measures (cpu, cuda; default cpu)."),
    ] = None,
    json: JsonFile = None,
) -> None:
    """List the networks that --backbone takes: complete models, and encoders to be put in pairs.

    Examples:

      synctool backbones

      synctool backbones --profile fcn-cls resnet3d+vggish --json costs.json

    Exit codes: 0 listed, or measured; 1 one could not be measured; 2 usage; 5 an extra is missing.
    """
    if device is not None and not profile:
        raise no_effect("--device", "without --profile", add="--profile")
    output = JsonOutput(json)
    from synctool.networks.names import statuses

    found = statuses(names or ())
    if profile:
        _profiled(names or [x.spec.full_name for x in found], device or "cpu", output)
        return
    output.write([_data(status) for status in found])
    if output.for_people:
        _listed(found)


def _listed(found: list[BackboneStatus]) -> None:
    """Print the table, and which extra the networks need that cannot be used without it."""
    columns = ["name", "role", "input", "weights", "licence", "summary"]
    lacking = sorted({status.needs for status in found} - {""})
    if lacking:
        columns.insert(4, "needs")
    print_table(columns, [_row(status, needs=bool(lacking)) for status in found])
    for extra in lacking:
        typer.echo(f"note: what needs {extra} comes with: {installing(extra)}", err=True)


def _profiled(names: list[str], device: str, output: JsonOutput) -> None:
    require("train", "--profile", "torch")
    from synctool.cli.progress import progress_bar
    from synctool.networks.profiles import profiles

    found = []
    with progress_bar(quiet=False) as bar:
        task = bar.add_task("measuring", total=len(names), speed="")
        for profile in profiles(names, device=device):
            found.append(profile)
            bar.update(task, advance=1, description=f"measured {profile.name}")
    output.write([profile.to_dict() for profile in found])
    if output.for_people:
        columns = ["name", "role", "parameters", "multiply-adds/s", "ms/s", "real time", "memory"]
        print_table([*columns, "weights", "licence"], [_cost(profile) for profile in found])
        for profile in found:
            if profile.error:
                print_text(f"{profile.name}: {profile.error}", err=True)
    if any(profile.error for profile in found):
        raise typer.Exit(EXIT_UNEXPECTED)


def _cost(profile: Profile) -> list[str]:
    weights = [profile.weights, profile.licence or "-"]
    if profile.parameters is None or profile.multiply_adds is None:
        return [profile.name, profile.role, *["-"] * 5, *weights]
    return [
        profile.name,
        profile.role,
        f"{profile.parameters / 1e6:.2f} M",
        f"{profile.multiply_adds / 1e9:.3g} G",
        f"{profile.ms:.3g}",
        f"{profile.times_real_time:.3g} x",
        f"{profile.memory_mb:.0f} MiB",
        *weights,
    ]


def _row(status: BackboneStatus, *, needs: bool) -> list[str]:
    spec = status.spec
    licence = spec.weights.licence if spec.weights else "-"
    extra = [status.needs or "-"] if needs else []
    return [spec.full_name, spec.role, _input(spec), status.weights, *extra, licence, spec.summary]


def _input(spec: BackboneSpec) -> str:
    parts = []
    if spec.video:
        parts.append(f"{spec.video.crop} {spec.video.size_px} {spec.video.colour}")
        if spec.video.flow:
            parts.append("flow")
    if spec.audio:
        parts.append(spec.audio.kind)
    return ", ".join(parts)


def _data(status: BackboneStatus) -> dict[str, Any]:
    spec, weights = status.spec, None
    if spec.weights:
        weights = {
            "name": spec.weights.name,
            "licence": spec.weights.licence,
            "available": status.weights,
        }
    return {
        "name": spec.full_name,
        "tag": spec.tag,
        "default": spec.default,
        "role": spec.role,
        "video": asdict(spec.video) if spec.video else None,
        "audio": spec.audio.kind if spec.audio else None,
        "embedding_size": spec.embedding_size,
        "receptive_field_frames": spec.receptive_field_frames,
        "audio_receptive_field_frames": spec.audio_receptive_field_frames,
        "look_ahead_frames": spec.look_ahead_frames,
        "bounded": spec.bounded,
        "any_crop": spec.any_crop,
        "options": dict(spec.options),
        "weights": weights,
        "needs": status.needs or None,
        "summary": spec.summary,
    }
