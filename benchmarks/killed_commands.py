"""Commands that write, on inputs so small that each takes seconds: for ``killed``."""

from __future__ import annotations

import io
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
import flicker
from fake_catalogue import entry_of, file_of, some_bytes
from fake_plugins import FakePlugin
from fake_samples import talking_sample, write_processed
from synctool.plugins import loader as plugins
from synctool.scoring.confidence import Calibration

THING, ARCHIVE = "thing", "archive"


@dataclass(frozen=True)
class Command:
    """A command that writes.

    Attributes:
        name: What it is called in the table.
        words: After ``synctool``.
        needs: Of the inputs, what its folder gets.
        wall: Whether its time is told by the clock: it waits, or works in other processes.
        weight: Kills in proportion to others'.
        refuses: Whether it leaves what is there already alone, with exit code 1.
        adds: Whether a second run writes behind the lines of the first.
    """

    name: str
    words: str
    needs: tuple[str, ...] = ("a.mkv",)
    wall: bool = False
    weight: float = 1.0
    refuses: bool = False
    adds: bool = False


_BATCH = "--json r.jsonl --csv r.csv --html r.html --plot plots --webvtt captions"
_SMALL_RUN = (
    "--epochs 2 --steps-per-epoch 3 --batch-size 4 --workers 0 --augment 0 --save-every 1 "
    "--log-every 1 --window-frames 20 --device cpu --no-tensorboard"
)

COMMANDS = (
    Command("demo", "demo --duration 2 --height 240 -o d.mp4 --json d.json --html d.html --no-open", ()),
    Command(
        "detect",
        "detect a.mkv --json r.json --csv r.csv --html r.html --plot r.png --rttm r.rttm "
        "--webvtt r.vtt --markers r.edl --fix f.mkv --overwrite",
    ),
    Command("detect, batch", f"detect videos {_BATCH} --rttm r.rttm --fix fixed --overwrite", ("videos",)),
    Command("detect, stdin", "detect - --json r.json", ("a.mkv",)),
    Command("fix", "fix a.mkv -o f.mkv --offset-ms 120 --json r.json --overwrite"),
    Command("fix, batch", "fix videos -o fixed --offset-ms 120 --json r.jsonl --overwrite", ("videos",)),
    Command("verify", "verify videos --json r.jsonl --html r.html --plot plots", ("videos",)),
    Command(
        "explain",
        "explain a.mkv --at 1 --seconds 0.4 --no-checks --json r.json --plot r.png --html r.html "
        "--video r.mp4",
        weight=0.5,
    ),
    Command(
        "compare",
        "compare videos --perturb noise:1 --journal j.jsonl --json r.json --trials t.jsonl --csv t.csv "
        "--metrics-csv m.csv --html r.html --plot plots",
        ("videos",),
    ),
    Command(
        "bench",
        "bench --command 'printf 40\\\\n {video}' --quick --only short --journal j.jsonl --json r.json "
        "--html r.html",
        (),
        wall=True,
    ),
    Command("preprocess", "preprocess videos p --jobs 1", ("videos",)),
    Command("preprocess, folders", "preprocess videos p --layout folders --jobs 1", ("videos",)),
    Command("pairs", "pairs p", ("p",), weight=2),
    Command("pairs, Parquet", "pairs p --out q.parquet", ("p",), weight=2),
    Command("units", "units p -o u.safetensors --units 4", ("p",)),
    Command("train", f"train --data ready --out run {_SMALL_RUN}", ("ready",)),
    Command(
        "adapt",
        f"adapt talks -o w.safetensors --backbone {flicker.NAME} --weights before.safetensors "
        "--stages calibration --minutes 0.5 --general general --device cpu --jobs 1 "
        "--json r.json --html r.html",
        ("talks", "general", "before.safetensors"),
    ),
    Command("export", "export -o model --windows 4 --json r.json", (), weight=0.5),
    Command("live", "live a.mkv --fast --json r.jsonl --history h.sqlite --quiet", wall=True, adds=True),
    Command(
        "watch", "watch videos --report out --fix fixed --once --settle 0.1 --interval 0.05",
        ("videos",), wall=True,
    ),
    Command("download", f"download {THING}", (), wall=True, weight=2),
    Command("download, archive", f"download {ARCHIVE} --dest data", (), wall=True, weight=2),
    Command("doctor", "doctor --json r.json", ()),
    Command("stats", "stats r.jsonl --json s.json --csv s.csv --plot s.png", ("r.jsonl",)),
    Command("backbones", "backbones --json r.json", ()),
    Command("plugins check", "plugins check fcn-mel --json r.json", ()),
    Command("plugins new", "plugins new lips", (), weight=4, refuses=True),
    Command("config init", "config init --out s.toml", (), weight=4, refuses=True),
    Command("detect, 2 jobs", f"detect videos --jobs 2 {_BATCH}", ("videos",), wall=True),
)  # fmt: skip


def make_inputs(folder: Path) -> None:
    """Everything that commands read, by name."""
    from synctool.cli.app import main
    from synctool.settings.demo import DemoSettings
    from synctool.synthetic.demo import write_demo

    (folder / "videos").mkdir(parents=True)
    for name, offset_ms in (("a", 120.0), ("b", -80.0)):
        wanted = DemoSettings(duration=2.0, height=240, offset_ms=offset_ms)
        write_demo(wanted, folder / "videos" / f"{name}.mkv")
    shutil.copy(folder / "videos" / "a.mkv", folder / "a.mkv")
    if main(
        ["detect", str(folder / "videos"), "--json", str(folder / "r.jsonl"), "--quiet"]
    ) not in (0, 3):
        raise SystemExit("the videos cannot be measured")
    people = [(f"c{i}", "abcdef"[i // 2]) for i in range(12)]
    samples = [talking_sample(k, seed=i, speaker=p) for i, (k, p) in enumerate(people)]
    write_processed(folder / "p", samples)
    write_processed(folder / "ready", samples)
    if main(["pairs", str(folder / "ready")]):
        raise SystemExit("the clips cannot be split")
    _flickering(folder / "talks", "v", 10)
    _flickering(folder / "general", "g", 6)
    header = json.dumps(Calibration(-6.0, 3.0).to_dict())
    flicker.save_weights(folder / "before.safetensors", calibration=header)


def _flickering(folder: Path, name: str, count: int) -> None:
    from test_adapt import flickering

    write_processed(folder, [flickering(f"{name}{i}", frames=80) for i in range(count)])


CONTENT = some_bytes(3_000_000)


def _archive() -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as file:
        for number in range(40):
            file.writestr(f"clips/{number}.bin", some_bytes(50_000, seed=number))
    return made.getvalue()


@contextmanager
def serving(folder: Path) -> Iterator[None]:
    """A catalogue of two entries on a server of this machine, and a network that needs no training."""
    archive = _archive()
    folder.mkdir()
    (folder / "a.bin").write_bytes(CONTENT)
    (folder / "a.zip").write_bytes(archive)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1"]
    server = subprocess.Popen(
        words, cwd=folder, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    )
    url = f"http://127.0.0.1:{port}"
    try:
        _wait(lambda: urllib.request.urlopen(url, timeout=5).close())
        entries = [
            entry_of(file_of("a.bin", CONTENT, f"{url}/a.bin"), name=THING),
            entry_of(
                file_of("a.zip", archive, f"{url}/a.zip"), name=ARCHIVE, kind="dataset", unpack=True
            ),
        ]
        with flicker.installed():
            plugins.get_plugins().register(FakePlugin(synctool_catalogue=entries), name="fake")
            yield
    finally:
        server.kill()
        server.wait()


def _wait(ready: Callable[[], None]) -> None:
    until = time.monotonic() + 30
    while True:
        try:
            return ready()
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.1)


def environment(folder: Path) -> dict[str, str]:
    """Where a command finds what is the user's own: all in one folder, which is looked at."""
    own = {
        "HOME": "home", "XDG_CACHE_HOME": "home/cache", "XDG_CONFIG_HOME": "home/config",
        "XDG_DATA_HOME": "home/data", "XDG_STATE_HOME": "home/state", "TMPDIR": "tmp",
        "SYNCTOOL_CACHE": "home/weights", "SYNCTOOL_TRUST_FILE": "home/trusted.json",
        "MPLCONFIGDIR": "home/mpl",
    }  # fmt: skip
    for name in set(own.values()):
        if "." not in name:
            (folder / name).mkdir(parents=True, exist_ok=True)
    kept = {k: v for k, v in os.environ.items() if not k.startswith("SYNCTOOL_")}
    return {**kept, **{k: str(folder / v) for k, v in own.items()}, "NO_PROXY": "*"}
