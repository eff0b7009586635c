"""``synctool doctor``: what this installation has, and what is wrong with it."""

from __future__ import annotations

from typing import Annotated

import typer

from synctool.cli.options import Quiet, result_option
from synctool.cli.outputs import Outputs
from synctool.errors import EXIT_OK, EXIT_UNEXPECTED


def doctor(
    json: Annotated[
        str | None, result_option("--json", "All findings as JSON; - for stdout.")
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Examine this installation: versions, devices, decoders, plugins, weights, and a self-test.

    Examples:

      synctool doctor

      synctool doctor --json doctor.json

    Nothing is fetched and nothing is changed. Exit codes: 0 ready to measure (warnings may remain),
    1 not; each problem says what to do.
    """
    outputs = Outputs({"--json": json}, plot=None, one=True, kept=(), quiet=quiet)
    outputs.check()
    from synctool.doctor.examine import examine
    from synctool.report.doctor import print_diagnosis
    from synctool.report.json_out import write_json

    diagnosis = examine()
    if outputs.for_people:
        print_diagnosis(diagnosis)
    if json is not None:
        write_json([diagnosis], json, lines=False)
    raise typer.Exit(EXIT_OK if diagnosis.healthy else EXIT_UNEXPECTED)
