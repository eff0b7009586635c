"""``synctool compare``: the same films through several networks."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from synctool.cli.common import TrustOption, print_text, setting_option
from synctool.cli.compare_completion import complete_backbones, complete_by, complete_perturb
from synctool.errors import SyncToolError, UsageError
from synctool.settings import table as config

if TYPE_CHECKING:
    from synctool.cli.compare_outputs import CompareOutputs
    from synctool.comparison.entries import Entry
    from synctool.comparison.run import CompareSettings

_GROUPS = ("condition", "perturbation")
_STOPPED = {
    True: "Stopped. Run the same command again to go on.",
    False: "Stopped. With --journal FILE a run can go on later.",
}
"""After Ctrl-C, by whether there is a journal."""
_EXAMPLES = """Examples:

  synctool compare talk.mp4 --backbones syncnet,fcn-cls --report talk.html

  synctool compare films/ -b fcn-cls,fcn-cls=mine.safetensors --shift -10,-5,0,5,10 --pieces 3

  synctool compare films/ --labels truth.csv --perturb noise,blur --journal run.jsonl --jobs 0

  synctool compare --dataset processed/ --by source --json result.json --csv trials.csv

Exit codes: 0 every trial ran, also where some are inconclusive; 1 some failed (their rows say why, and
the others count); 5 a film, weights or an extra is missing; 2 usage."""


def compare(
    context: typer.Context,
    films: Annotated[
        list[str] | None,
        typer.Argument(help="Films, globs, or folders of films.", show_default=False),
    ] = None,
    backbones: Annotated[
        str | None,
        setting_option("compare", "backbones", "-b", autocompletion=complete_backbones),
    ] = None,
    shift: Annotated[str | None, setting_option("compare", "shift")] = None,
    pieces: Annotated[float | None, setting_option("compare", "pieces")] = None,
    labels: Annotated[
        Path | None,
        typer.Option(help="Known offsets: CSV with path and offset_ms or offset_frames."),
    ] = None,
    dataset: Annotated[
        str | None,
        typer.Option(help="Compare on this: processed folder, or films with labels.csv."),
    ] = None,
    part: Annotated[
        str | None, typer.Option(help="Part of --dataset: auto, val, test or all.")
    ] = None,
    split: Annotated[
        Path | None, typer.Option(help="split.json of synctool pairs, unless in the data folder.")
    ] = None,
    constants: Annotated[
        Path | None,
        typer.Option(help="JSON of constant offsets in frames by sample, person or source."),
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=0, help="Most clips of each source of --dataset, 0 for all.")
    ] = None,
    perturb: Annotated[
        str | None, setting_option("compare", "perturb", autocompletion=complete_perturb)
    ] = None,
    by: Annotated[str | None, setting_option("compare", "by", autocompletion=complete_by)] = None,
    max_offset: Annotated[int | None, setting_option("compare", "max_offset", "-k")] = None,
    detector: Annotated[str | None, setting_option("compare", "detector")] = None,
    device: Annotated[str | None, setting_option("compare", "device")] = None,
    runtime: Annotated[str | None, setting_option("compare", "runtime")] = None,
    video_track: Annotated[int | None, setting_option("compare", "video_track")] = None,
    trust: TrustOption = None,
    audio_track: Annotated[int | None, setting_option("compare", "audio_track")] = None,
    channel: Annotated[str | None, setting_option("compare", "channel")] = None,
    max_faces: Annotated[int | None, setting_option("compare", "max_faces")] = None,
    allow_external: Annotated[bool | None, setting_option("compare", "allow_external")] = None,
    stall_timeout: Annotated[float | None, setting_option("compare", "stall_timeout")] = None,
    seed: Annotated[int | None, setting_option("compare", "seed")] = None,
    jobs: Annotated[int | None, setting_option("compare", "jobs", "-j")] = None,
    from_file: Annotated[
        str | None, typer.Option(help="List of films, one a line; - for the standard input.")
    ] = None,
    journal: Annotated[
        str | None, typer.Option(help="Keep finished films here; the same command goes on there.")
    ] = None,
    json: Annotated[
        str | None, typer.Option(help="Write everything as one JSON object; - for stdout.")
    ] = None,
    trials: Annotated[
        str | None, typer.Option(help="Write JSON Lines, one a trial; - for stdout, as they come.")
    ] = None,
    csv: Annotated[str | None, typer.Option(help="Write one row a trial; - for stdout.")] = None,
    metrics_csv: Annotated[
        str | None, typer.Option(help="Write one row a metric; - for stdout.")
    ] = None,
    plot: Annotated[
        str | None,
        typer.Option(
            help="Draw the models' offsets over time; several films: into this folder, with metrics."
        ),
    ] = None,
    report: Annotated[str | None, typer.Option(help="Write one self-contained HTML page.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")] = False,
) -> None:
    """Measure the same films with several networks and compare them."""
    given = {name: context.params[name] for name in _setting_names()}
    if given["perturb"] == "list":
        from synctool.cli.compare_text import show_perturbations

        show_perturbations()
        return
    settings = config.resolve("compare", given)
    entries, one = _entries(context.params)
    outputs = _outputs(entries, settings, context, one=one)
    outputs.check()
    _run(
        entries, _wanted(settings, outputs.thumbnails, trust), outputs, journal=journal, quiet=quiet
    )
    raise typer.Exit(outputs.exit_code)


compare.__doc__ = f"{compare.__doc__}\n\n{_EXAMPLES}"


def _setting_names() -> list[str]:
    return [setting.name for setting in config.SECTIONS["compare"]]


def _entries(given: dict[str, Any]) -> tuple[list[Entry], bool]:
    """What is compared, and whether that is one film which the user named."""
    from synctool.comparison.entries import dataset_entries, film_entries
    from synctool.prepare.inputs import expand, means_one_film

    films, from_file, dataset = given["films"] or [], given["from_file"], given["dataset"]
    of_dataset = {name: given[name] for name in ("part", "split", "constants", "limit")}
    of_dataset = {name: value for name, value in of_dataset.items() if value is not None}
    if dataset is None:
        if of_dataset:
            raise UsageError(
                f"--{next(iter(of_dataset))} belongs to --dataset", remedy="Add --dataset FOLDER."
            )
        names = expand(films, from_file=from_file)
        return film_entries(names, labels=given["labels"]), means_one_film(
            films, from_file=from_file
        )
    if films or from_file is not None or given["labels"] is not None:
        raise UsageError(
            "--dataset brings its own films and labels",
            remedy="Leave out the films, --from-file and --labels, or --dataset.",
        )
    return dataset_entries(dataset, **of_dataset), False


def _wanted(settings: Any, thumbnails: int, trust: list[str] | None) -> CompareSettings:
    from synctool.comparison.run import CompareSettings, split_backbones

    return CompareSettings(
        backbones=split_backbones(settings.backbones),
        shifts=settings.shift or "",
        pieces_s=settings.pieces,
        perturb=settings.perturb or "",
        max_offset=settings.max_offset,
        detector=settings.detector,
        device=settings.device,
        runtime=settings.runtime,
        video_track=settings.video_track,
        trust=tuple(trust or ()),
        audio_track=settings.audio_track,
        channel=settings.channel,
        max_faces=settings.max_faces,
        allow_external=settings.allow_external,
        stall_timeout=settings.stall_timeout,
        seed=settings.seed,
        jobs=settings.jobs,
        thumbnails=thumbnails,
    )


def _outputs(
    entries: list[Entry], settings: Any, context: typer.Context, *, one: bool
) -> CompareOutputs:
    from dataclasses import fields

    from synctool.cli.compare_outputs import CompareOutputs, Targets

    given = context.params
    read = [given[name] for name in ("labels", "split", "constants", "from_file")]
    return CompareOutputs(
        entries,
        Targets(**{field.name: given[field.name] for field in fields(Targets)}),
        one=one,
        read=[str(name) for name in read if name is not None],
        command=shlex.join(["synctool", *(context.obj or ["compare"])]),
        settings=settings.as_dict(),
        by=_groups(settings),
        quiet=given["quiet"],
    )


def _groups(settings: Any) -> list[str]:
    """The groups that are asked for, and those that the conditions make."""
    from synctool.comparison.choices import parse_by

    asked = parse_by(settings.by or "")
    moved = bool(settings.shift or settings.pieces)
    own = [name for name, made in zip(_GROUPS, (moved, settings.perturb)) if made]
    return list(dict.fromkeys([*asked, *own]))


def _run(
    entries: list[Entry],
    wanted: CompareSettings,
    outputs: CompareOutputs,
    *,
    journal: str | None,
    quiet: bool,
) -> None:
    """Compare, and write the results; of interrupted work what is done, unless a journal has it."""
    from synctool.cli.compare_text import CompareBar
    from synctool.comparison.run import run_trials

    try:
        with CompareBar(quiet=quiet) as bar:
            for trial in run_trials(
                entries, wanted, journal=journal, on_progress=bar, on_film=outputs.film
            ):
                outputs.stream(trial)
    except (KeyboardInterrupt, SyncToolError) as end:
        if isinstance(end, KeyboardInterrupt):
            print_text(_STOPPED[journal is not None], err=True)
        if journal is None:
            outputs.all_done()
        raise
    outputs.all_done()
