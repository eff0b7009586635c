"""``synctool serve`` in a process of its own, on a port that the system chooses."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from fake_jobs import NOTES

PATIENCE_S = 60.0
SCRIPT = """
import sys
if sys.argv[1] == "fake":
    from fake_jobs import fake_worker
    from synctool.serving import service
    service.job_worker = fake_worker
from synctool.cli.app import main
if __name__ == "__main__":
    sys.exit(main(["serve", *sys.argv[2:]]))
"""


class Server:
    """A running service.

    Attributes:
        url: Its address.
        notes: Folder in which the fake worker notes what it begins.
        client: Speaks with it.
    """

    def __init__(self, place: Path, *words: str, fake: bool = True) -> None:
        self.data, self.notes = place / "data", place / "notes"
        self.notes.mkdir(parents=True, exist_ok=True)
        script = place / "server.py"
        script.write_text(SCRIPT)
        path = os.pathsep.join([str(Path(__file__).parent), *sys.path])
        given = ["fake" if fake else "real", "--port", "0", "--data", str(self.data), *words]
        self.process = subprocess.Popen(
            [sys.executable, script, *given],
            env={**os.environ, "PYTHONPATH": path, NOTES: str(self.notes)},
            stdout=subprocess.PIPE,
            stderr=(place / "stderr").open("a"),
            text=True,
        )
        assert self.process.stdout is not None
        self.url = self.process.stdout.readline().strip()
        assert self.url.startswith("http://"), (place / "stderr").read_text()
        self.client = httpx.Client(base_url=self.url, timeout=PATIENCE_S)

    def send(self, said: str, name: str = "a.mp4", **more: str) -> httpx.Response:
        """Send a video for the fake worker."""
        return self.client.post("/api/jobs", files={"file": (name, said.encode())}, data=more)

    def job(self, id: str) -> dict:
        """A job as it is now."""
        return self.client.get(f"/api/jobs/{id}").raise_for_status().json()

    def until(self, id: str, state: str) -> dict:
        """A job when it has reached a state."""
        until(lambda: self.job(id)["state"] == state)
        return self.job(id)

    def stop(self, number: int) -> int:
        """Send a signal; returns the exit code."""
        self.process.send_signal(number)
        code = self.process.wait(PATIENCE_S)
        self.close()
        return code

    def close(self) -> None:
        """End it, if it is not gone."""
        self.client.close()
        self.process.kill()
        self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()


@contextmanager
def serving(place: Path, *words: str, fake: bool = True) -> Iterator[Server]:
    """A service as long as the block lasts."""
    server = Server(place, *words, fake=fake)
    try:
        yield server
    finally:
        server.close()


def until(true: Callable[[], bool]) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)
