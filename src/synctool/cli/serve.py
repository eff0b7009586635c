"""``synctool serve``: a service with an API and a page."""

from __future__ import annotations

from pathlib import Path

import typer

from synctool.cli.common import print_text
from synctool.cli.options import Given, Quiet, settings_options
from synctool.errors import EXIT_OK
from synctool.extras import require
from synctool.settings.serve import ServeSettings


@settings_options(ServeSettings)
def serve(given: Given[ServeSettings], quiet: Quiet = False) -> None:
    """Serve measurements and repairs: a REST API, and a page to drop videos on.

    Examples:

      synctool serve

      synctool serve --port 0 --jobs 2 --keep-hours 1

      synctool serve --host 0.0.0.0 --tokens tokens.txt --allow /srv/videos

      curl -F file=@talk.mp4 -F fix=true http://127.0.0.1:8000/api/jobs

    Jobs are kept in a database: a service that is stopped or killed goes on with them when it is started
    again. Without --tokens it answers to this machine only, unless --open says otherwise. /api/openapi.json
    describes the API.

    Exit codes: 130 after Ctrl-C, 0 after SIGTERM; 2 usage, also for a port or a folder in use; 5 something is
    missing.
    """
    settings = given.settings()
    require("serve", "synctool serve")
    from synctool.cli.stopping import Terminated, terminated_by_signal
    from synctool.serving.access import access_of
    from synctool.serving.events import Events
    from synctool.serving.job_files import JobFiles
    from synctool.serving.job_store import owned
    from synctool.serving.places import check_allowed, data_folder
    from synctool.serving.server import address_of, application, bound, run
    from synctool.serving.service import Service

    access, folder = access_of(settings), data_folder(settings)
    check_allowed(settings.allow, folder)
    with bound(settings.host, settings.port) as listening, owned(folder) as store:
        events = Events()
        service = Service(settings, store, JobFiles(folder), on_change=events.changed)
        app = application(service, access, events)
        try:
            with terminated_by_signal():
                left = service.start()
                if not quiet:
                    _tell(address_of(listening), folder, left)
                run(app, listening, events)
        except Terminated:
            raise typer.Exit(EXIT_OK) from None
        finally:
            service.stop()


def _tell(address: str, folder: Path, left: int) -> None:
    """Say where the service is, at once: a program may wait for it."""
    print_text(address)
    again = f"; {left} jobs are begun again" if left else ""
    print_text(f"Jobs are in {folder}{again}. Ctrl-C stops.", err=True)
