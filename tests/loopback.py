"""Streams on the loopback that FFmpeg serves, and what is asked of the machine for that."""

from __future__ import annotations

import functools
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest


def ffmpeg() -> str:
    """The program; skips where there is none."""
    found = shutil.which("ffmpeg")
    if found is None:
        pytest.skip("no ffmpeg in the PATH to serve streams with")
    return found


def free_port(kind: socket.SocketKind = socket.SOCK_DGRAM) -> int:
    """A port of the loopback that nobody uses now."""
    with socket.socket(socket.AF_INET, kind) as own:
        own.bind(("127.0.0.1", 0))
        return own.getsockname()[1]


def sender(video: Path, *output: str, options: Sequence[str] = ()) -> subprocess.Popen[bytes]:
    """FFmpeg, sending a video at its own speed."""
    return subprocess.Popen(
        [
            *(ffmpeg(), "-nostdin", "-loglevel", "error", "-re", *options),
            *("-i", str(video), "-c", "copy", *output),
        ]
    )


@contextmanager
def sent(
    video: Path, *output: str, options: Sequence[str] = ()
) -> Iterator[subprocess.Popen[bytes]]:
    """The same for as long as a block lasts."""
    process = sender(video, *output, options=options)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def udp(port: int) -> tuple[str, ...]:
    """Where ``sender`` sends an MPEG transport stream to."""
    return ("-f", "mpegts", f"udp://127.0.0.1:{port}?pkt_size=1316")


def remuxed(video: Path, target: Path, *options: str) -> Path:
    """A video in another container, its packets as they are."""
    subprocess.run(
        [
            *(ffmpeg(), "-nostdin", "-loglevel", "error", "-y", "-i", str(video)),
            *("-c", "copy", *options, str(target)),
        ],
        check=True,
    )
    return target


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The files of a folder over HTTP; gives the address."""
    handler = functools.partial(_Quiet, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
