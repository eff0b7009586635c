"""What ``synctool serve`` holds: uploads, clients that vanish, are slow or only listen, and kill -9.

python benchmarks/serve_load.py [--uploads 200] [--clients 32] [--size-kb 256]

A server is started on the loopback. What is sent is no video, so that its workers have little to do with
each: what is measured is the web server, the database and the pool, not the measuring. The figures are
printed as a table for docs/serve.md.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from urllib.parse import urlsplit

import httpx

_PATIENCE_S = 120.0


class Server:
    """A server on a port that the system chooses."""

    def __init__(self, data: Path, queue: int) -> None:
        words = ["--port", "0", "--data", str(data), "--queue", str(queue), "--jobs", "1"]
        code = "import sys; from synctool.cli.app import main; sys.exit(main())"
        more = ["--uploads", "200", "--upload-timeout", "2"]
        self.process = subprocess.Popen(
            [sys.executable, "-c", code, "serve", *words, *more],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self.process.stdout is not None
        self.url = self.process.stdout.readline().strip()
        self.uploads = data / "uploads"

    @property
    def memory_mb(self) -> float:
        """Resident memory of the server itself, without its workers."""
        status = Path(f"/proc/{self.process.pid}/status").read_text("utf-8")
        found = re.search(r"VmRSS:\s+(\d+) kB", status)
        return int(found[1]) / 1024 if found else float("nan")

    @property
    def cpu_s(self) -> float:
        """Seconds of the processor that the server itself has used."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text("utf-8").rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def end(self, number: int) -> None:
        """Send a signal and wait until it has gone."""
        self.process.send_signal(number)
        self.process.wait(_PATIENCE_S)


async def upload(client: httpx.AsyncClient, body: bytes) -> tuple[str | None, float]:
    """Send one; the id of its job, and how long it took. None where the server was killed meanwhile."""
    begun = time.perf_counter()
    try:
        answer = await client.post("/api/jobs", content=body)
        answer.raise_for_status()
    except httpx.HTTPError:
        return None, 0.0
    return answer.json()["id"], time.perf_counter() - begun


async def at_a_time(
    clients: int, count: int, act: Callable[[], Awaitable[tuple[str | None, float]]]
) -> list[tuple[str | None, float]]:
    """Do something many times, by so many clients at a time."""
    done: list[tuple[str | None, float]] = []
    left = iter(range(count))

    async def one() -> None:
        for _ in left:
            done.append(await act())

    await asyncio.gather(*(one() for _ in range(clients)))
    return done


def connected(server: Server, head: str, begin: bytes = b"") -> socket.socket:
    """A client that has sent a head and little more."""
    place = urlsplit(server.url)
    made = socket.create_connection((place.hostname, place.port), timeout=_PATIENCE_S)
    made.sendall(f"{head} HTTP/1.1\r\nHost: localhost\r\n".encode() + begin)
    return made


async def all_ids(client: httpx.AsyncClient) -> AsyncIterator[str]:
    """The jobs that the server knows."""
    before = None
    while True:
        params = {"limit": 100} | ({"before": before} if before else {})
        page = (await client.get("/api/jobs", params=params)).json()
        for job in page["jobs"]:
            yield job["id"]
        if (before := page["next"]) is None:
            return


def row(name: str, *said: str) -> None:
    print(f"| {name} | {'; '.join(said)} |", flush=True)


def times(seconds: list[float]) -> str:
    """Median and 99th percentile, in ms."""
    ordered = sorted(seconds)
    worst = ordered[min(len(ordered) - 1, int(0.99 * len(ordered)))]
    return f"median {1000 * statistics.median(ordered):.0f} ms, 99 % within {1000 * worst:.0f} ms"


async def measure(folder: Path, uploads: int, clients: int, body: bytes) -> None:
    data = folder / "data"
    server = Server(data, queue=10 * uploads + 1000)
    limits = httpx.Limits(max_connections=clients)
    known: set[str] = set()
    async with httpx.AsyncClient(base_url=server.url, timeout=_PATIENCE_S, limits=limits) as client:
        before_mb, before_s, begun = server.memory_mb, server.cpu_s, time.perf_counter()
        done = await at_a_time(clients, uploads, lambda: upload(client, body))
        wall_s = time.perf_counter() - begun
        taken = [seconds for id, seconds in done if id]
        known |= {id for id, _ in done if id}
        cpu_ms = 1000 * (server.cpu_s - before_s) / uploads
        row(
            f"{uploads} uploads of {len(body) // 1024} KiB, {clients} at a time",
            f"{len(taken)} taken", f"{uploads / wall_s:.0f} a second", times(taken),
            f"{cpu_ms:.1f} ms of the processor each",
        )  # fmt: skip
        cancelled = [
            connected(
                server, "POST /api/jobs", b"Content-Length: 99999999\r\n\r\n" + b"x" * 100_000
            )
            for _ in range(100)
        ]
        await asyncio.sleep(1.0)
        for gone in cancelled:
            gone.close()
        await asyncio.sleep(5.0)
        row(
            "100 uploads broken off by their clients, after 5 s",
            f"{len(list(server.uploads.iterdir()))} files left",
        )
        slow = [
            connected(server, "POST /api/jobs", b"Content-Length: 9999\r\n\r\nx")
            for _ in range(100)
        ]
        listeners = [connected(server, "GET /api/events", b"\r\n") for _ in range(200)]
        done = await at_a_time(8, 100, lambda: upload(client, body))
        known |= {id for id, _ in done if id}
        row(
            "100 uploads, 8 at a time, beside 100 that do not go on and 200 listeners that do not read",
            f"{sum(id is not None for id, _ in done)} taken", times([s for id, s in done if id]),
        )  # fmt: skip
        answered = 0
        for one in slow:
            answered += b" 408 " in one.recv(1000)
            one.close()
        row("the 100 uploads that do not go on, after 2 s", f"{answered} are told 408")
        for one in listeners:
            one.close()
        row("memory of the server", f"{before_mb:.0f} MB before, {server.memory_mb:.0f} MB after")
        killed = asyncio.create_task(at_a_time(clients, uploads, lambda: upload(client, body)))
        while len(list((data / "jobs").iterdir())) < len(known) + uploads // 4:
            await asyncio.sleep(0.05)
        server.end(signal.SIGKILL)
        known |= {id for id, _ in await killed if id}
    server = Server(data, queue=10 * uploads + 1000)
    async with httpx.AsyncClient(base_url=server.url, timeout=_PATIENCE_S) as client:
        there = {id async for id in all_ids(client)}
        left = len(list(server.uploads.iterdir()))
        while (about := (await client.get("/api/service")).json())["queued"] + about["running"]:
            await asyncio.sleep(0.5)
        states = [job["state"] async for job in _jobs(client)]
        row(
            "kill -9 during uploads, and a new server", f"{len(known)} jobs were answered for",
            f"{len(known - there)} of them lost", f"{left} half uploads left",
            f"{sum(state in ('done', 'failed') for state in states)} of {len(there)} jobs brought to an end",
        )  # fmt: skip
    server.end(signal.SIGTERM)


async def _jobs(client: httpx.AsyncClient) -> AsyncIterator[dict]:
    async for id in all_ids(client):
        yield (await client.get(f"/api/jobs/{id}")).json()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--uploads", type=int, default=200)
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--size-kb", type=int, default=256)
    given = parser.parse_args()
    print("| load | held |\n|---|---|")
    with tempfile.TemporaryDirectory(prefix="serve-load-") as folder:
        body = os.urandom(given.size_kb * 1024)
        asyncio.run(measure(Path(folder), given.uploads, given.clients, body))


if __name__ == "__main__":
    main()
