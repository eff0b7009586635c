"""What ``synctool live`` holds after hours of a stream, and after many losses: as much as at its beginning.

    python benchmarks/live_soak.py endless [--hours 3]     # one transport stream, through a pipe
    python benchmarks/live_soak.py losses [--losses 300]   # a source that ends after 4 s, again and again
    python benchmarks/live_soak.py docs                    # what --json has collected, into docs/live.md

Streams are read as fast as they are measured: hours are those of the stream. The endless one repeats a
minute: talk of several people, a picture without a face, silence.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

from live import ffmpeg, joined, measuring, talk_clips
from process_memory import held
from rich.console import Console
from tables import Table, write_section

from synctool.live import reader
from synctool.live.addresses import live_address
from synctool.live.alarms import Limits
from synctool.live.events import Event
from synctool.live.reader import Reading
from synctool.live.watching import Watching, watch
from videos import ROOT

SCRIPT = "benchmarks/live_soak.py"
PAGE = ROOT / "docs" / "live.md"
PART_S = 20.0
SHORT_S = 4.0
ROWS = 6
Add: TypeAlias = Callable[[dict[str, Any]], None]
"""Takes a row of figures."""


def main() -> None:
    """Measure, print and keep."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("case", choices=[*CASES, "docs"])
    parser.add_argument("--hours", type=float, default=3.0)
    parser.add_argument("--losses", type=int, default=300)
    parser.add_argument("--json", type=Path, help="figures are added to this file")
    given = parser.parse_args()
    rows = json.loads(given.json.read_text()) if given.json and given.json.exists() else []
    if given.case != "docs":

        def add(row: dict[str, Any]) -> None:
            print(json.dumps(row), flush=True)
            rows.append(row)
            if given.json:
                given.json.write_text(json.dumps(rows, indent=1))

        with tempfile.TemporaryDirectory() as work:
            CASES[given.case](Path(work), given, add)
    made = tables(rows)
    if given.case == "docs":
        write_section(PAGE, "\n".join(table.markdown() for table in made), script=SCRIPT)
    for table in made:
        table.show(Console(width=140))


def endless(work: Path, given: argparse.Namespace, add: Add) -> None:
    """What is held after parts of the hours."""
    minute = a_minute(work)
    pipe = work / "stream.ts"
    os.mkfifo(pipe)
    seconds = given.hours * 3600
    sender = subprocess.Popen(
        [
            *("ffmpeg", "-nostdin", "-loglevel", "error", "-y", "-stream_loop", "-1"),
            *("-i", str(minute), "-c", "copy", "-t", str(seconds), "-f", "mpegts", str(pipe)),
        ]
    )
    counts, looks = {"answers": 0, "parts": 0}, 0

    def note(event: Event) -> None:
        nonlocal looks
        counts["parts"] += event.kind == "part"
        counts["answers"] += event.answer is not None and event.answer.offset_ms is not None
        if event.t_s >= max(seconds * looks / ROWS, 60):
            looks += 1
            add({"case": "endless", "hours": event.t_s / 3600, **counts, **held()})

    watched(str(pipe), note)
    sender.wait()


def losses(work: Path, given: argparse.Namespace, add: Add) -> None:
    """What is held after parts of the losses."""
    short = joined(talk_clips()[:3], work / "talk.ts", work)
    cut = work / "short.ts"
    ffmpeg("-i", str(short), "-c", "copy", "-t", str(SHORT_S), str(cut))
    counts, looks = {"losses": 0, "answers": 0}, 0
    stop = threading.Event()

    def note(event: Event) -> None:
        nonlocal looks
        counts["losses"] += event.kind == "lost"
        counts["answers"] += event.answer is not None and event.answer.offset_ms is not None
        if event.kind == "lost" and counts["losses"] >= max(given.losses * looks / ROWS, 5):
            looks += 1
            add({"case": "losses", **counts, **held()})
        if counts["losses"] >= given.losses:
            stop.set()

    reader._STEADY_S = 0.0  # the wait before the next attempt stays the first one
    with sent_again_and_again(cut.read_bytes()) as port:
        watched(f"tcp://127.0.0.1:{port}", note, stop=stop)


CASES = {"endless": endless, "losses": losses}


def a_minute(work: Path) -> Path:
    """Talk, a picture without a face, and silence, of 20 s each."""
    talk = joined(talk_clips()[:12], work / "talk.ts", work)
    coded = ("-c:v", "libx264", "-preset", "ultrafast", "-crf", "20", "-g", "25")
    coded += ("-c:a", "aac", "-b:a", "128k", "-ar", "48000", "-ac", "2")
    moving = (
        f"mandelbrot=size=640x360:rate=25,format=yuv420p,setsar=1,trim=duration={PART_S}[faceless]"
    )
    chain = (
        f"[0:v]trim=duration={PART_S},setpts=PTS-STARTPTS,fps=25,scale=640:360,setsar=1,split[talk][silent];{moving};"
        f"[0:a]atrim=duration={PART_S},asetpts=PTS-STARTPTS,asplit[said][again];"
        f"anullsrc=r=48000:cl=stereo,atrim=duration={PART_S}[nothing];"
        "[talk][said][faceless][again][silent][nothing]concat=n=3:v=1:a=1[v][a]"
    )
    target = work / "minute.ts"
    filtered = ("-filter_complex", chain.replace("mandelbrot", "mandelbrot", 1))
    ffmpeg("-i", str(talk), *filtered, "-map", "[v]", "-map", "[a]", *coded, str(target))
    return target


def watched(address: str, note: Any, *, stop: threading.Event | None = None) -> None:
    """Watch a source with the default model."""
    how = Watching(
        measuring(), Reading(paced=False, first_wait_s=0.02), limits=Limits.of("100"), for_s=5.0
    )
    (outcome,) = watch([live_address(address)], how, note, stop=stop)
    if outcome.error is not None:
        raise outcome.error


@contextmanager
def sent_again_and_again(stream: bytes) -> Iterator[int]:
    """A server that sends a stream to everybody who connects, and closes the connection."""
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            try:
                connection.sendall(stream)
            except OSError:
                pass
            connection.close()

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield listening.getsockname()[1]
    finally:
        listening.close()


def tables(rows: Sequence[dict[str, Any]]) -> list[Table]:
    """The figures as tables."""
    kept = {
        "resident MiB": "rss_mib",
        "mapped MiB": "mapped_mib",
        "in use MiB": "in_use_mib",
        "Python's blocks": "blocks",
        "threads": "threads",
        "open files": "files",
    }
    made = []
    own = [row for row in rows if row["case"] == "endless"]
    if own:
        table = Table(
            "Hours of a stream",
            ["hours", "answers", "parts", *kept],
            note=f"`python {SCRIPT} endless --hours {own[-1]['hours']:g}`: a minute of talk, of a picture "
            "without a face and of silence, again and again, as fast as it is measured. In use: what the "
            "allocator has given out and not got back.",
        )
        for row in own:
            shown = (f"{row[key]:.0f}" for key in kept.values())
            table.rows.append(
                (f"{row['hours']:.2f}", str(row["answers"]), str(row["parts"]), *shown)
            )
        made.append(table)
    own = [row for row in rows if row["case"] == "losses"]
    if own:
        table = Table(
            "Many losses",
            ["losses", "answers", *kept],
            note=f"`python {SCRIPT} losses --losses {own[-1]['losses']}`: a source that ends after "
            f"{SHORT_S:g} s and is opened again.",
        )
        for row in own:
            shown = (f"{row[key]:.0f}" for key in kept.values())
            table.rows.append((str(row["losses"]), str(row["answers"]), *shown))
        made.append(table)
    return made


if __name__ == "__main__":
    main()
