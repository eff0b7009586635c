"""How damaged video files are measured: mutated copies of short good ones, and what became of each.

python benchmarks/mutated_media.py [--video FILE] [--seconds 3] [--mutations 600] [--seed 1] [--limit 60]
                                   [--memory 2048] [--first 0] [--outcomes FILE]

Files of several containers, made of the first seconds of a talking face, are damaged at random. Right is to
measure what a player still shows, to be inconclusive, or one ``SyncToolError``. All else counts as a
fault: other errors, a worker that dies, and what takes longer than the limit. One worker process measures
all, and is begun anew when it hangs.

A confident answer that differs from the good file's is compared with the packets: those with the same bytes
in both files tell by how much their presentation times moved, in either stream. If the answer moved by as
much in at least half of the frames, a player shows it so.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import statistics
import tempfile
import time
from collections import Counter
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import av
from media_mutations import BASES, MUTATIONS, make_base
from rich.console import Console
from rich.table import Table

from synctool.errors import SyncToolError
from synctool.types import FRAME_MS, VIDEO_FPS
from synctool.workers import KILLED, Died, Work, in_workers
from videos import shared

MEASURED, INCONCLUSIVE, REFUSED = "measured", "inconclusive", "clear errors"
RAW, DIED, HUNG = "other errors", "worker died", "hung"
_FAULTS = (RAW, DIED, HUNG)
_CONFIDENT = 0.9
_MOVED_MS = 60.0


@dataclass(frozen=True)
class Outcome:
    """What became of one file.

    Attributes:
        became: One of the columns.
        offset_ms: The answer, if there is one.
        confidence: 0..1.
        words: The error, or the warnings.
        peak_mib: Largest memory of the worker meanwhile.
        seconds: How long it took.
    """

    became: str
    offset_ms: float | None = None
    confidence: float = 0.0
    words: str = ""
    peak_mib: float = 0.0
    seconds: float = 0.0


@dataclass(frozen=True)
class Moved:
    """A confident answer that is not the good file's.

    Attributes:
        case: Number, base and mutation.
        moved_ms: Answer less the good file's.
        packets_ms: Median of what the packets' times say.
        share: Part of the frames whose packets moved by as much as the answer.
        warnings: Of the result.
    """

    case: str
    moved_ms: float
    packets_ms: float | None
    share: float
    warnings: str


def main() -> None:
    """Make, damage, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--video", type=Path, default=shared("clips") / "example.avi")
    parser.add_argument("--seconds", type=float, default=3.0, help="so much of it")
    parser.add_argument("--mutations", type=int, default=600, help="in all")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--limit", type=float, default=60.0, help="seconds for a file")
    parser.add_argument("--memory", type=int, default=2048, help="MiB that a file may add")
    parser.add_argument(
        "--first", type=int, default=0, help="number of the first; --mutations ends them"
    )
    parser.add_argument("--only", type=int, help="this case alone")
    parser.add_argument(
        "--container", default="", help="only files whose kind has this in its name"
    )
    parser.add_argument("--kind", default="", help="only mutations that have this in their name")
    parser.add_argument("--outcomes", type=Path, help="JSON Lines; a run goes on from them")
    parser.add_argument("--keep", type=Path, help="folder for files that were no good or moved")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        sources = [Path(folder) / f"{number}{base.ending}" for number, base in enumerate(BASES)]
        for base, path in zip(BASES, sources):
            make_base(base, given.video, path, seconds=given.seconds)
        _run(given, sources, Path(folder))


@dataclass(frozen=True)
class _Case:
    """A file to measure: a good one, or where ``kind`` is given a damaged copy of it."""

    number: int
    base: str
    source: Path
    kind: str = ""
    seed: int = 0

    def write(self, folder: Path) -> Path:
        """The file itself, in this folder if it is a copy."""
        if not self.kind:
            return self.source
        data = bytearray(self.source.read_bytes())
        rng = random.Random(self.seed * 1_000_003 + self.number)
        MUTATIONS[self.kind](data, self.source.suffix, rng)
        path = folder / f"mutated{self.source.suffix}"
        path.write_bytes(data)
        return path


def _run(given: argparse.Namespace, sources: list[Path], folder: Path) -> None:
    cases = [_Case(i, base.name, path) for i, (base, path) in enumerate(zip(BASES, sources))]
    bases = [case for case in cases if given.container in case.base]
    kinds = [kind for kind in MUTATIONS if given.kind in kind]
    found: dict[str, list[Outcome]] = {kind: [] for kind in kinds}
    good: dict[str, Outcome] = {}
    moved: list[Moved] = []
    first = given.first + _earlier(given.outcomes, found, moved)
    numbers = range(first, given.mutations) if given.only is None else (given.only,)
    for number in numbers:
        base, kind = bases[number % len(bases)], kinds[number // len(bases) % len(kinds)]
        cases.append(_Case(number, base.base, base.source, kind, given.seed))
    # One worker, so that they come in order; what kills it or hangs is a result, and not tried again.
    outcomes = in_workers(
        partial(_measurer, folder, given.memory, given.limit),
        cases,
        workers=1,
        retry=lambda case, deaths: None,
        time_limit_s=given.limit,
    )
    for case, outcome in outcomes:
        if isinstance(outcome, Died):
            outcome = Outcome(DIED if outcome.reason == KILLED else HUNG, words=outcome.reason)
        if not case.kind:
            good[case.base] = outcome
            print(f"{case.base}: {outcome}", flush=True)
            continue
        found[case.kind].append(outcome)
        name = f"{case.number} {case.base}, {case.kind}"
        suspect = outcome.became in _FAULTS
        if suspect:
            print(f"{name}: {outcome.became} after {outcome.seconds:.0f} s: {outcome.words[-300:]}")
        if _has_moved(outcome, good[case.base]):
            moved.append(_compared(name, case, folder, outcome, good[case.base]))
            print(moved[-1], flush=True)
            suspect = True
        if given.outcomes is not None:
            line = {"kind": case.kind, "outcome": asdict(outcome)}
            if moved and moved[-1].case == name:
                line["moved"] = asdict(moved[-1])
            with given.outcomes.open("a") as file:
                file.write(json.dumps(line) + "\n")
        if suspect and given.keep is not None:
            given.keep.mkdir(parents=True, exist_ok=True)
            kept = given.keep / f"{case.number}{case.source.suffix}"
            kept.write_bytes(case.write(folder).read_bytes())
    _print(found, moved)


def _earlier(path: Path | None, found: dict[str, list[Outcome]], moved: list[Moved]) -> int:
    """Take in the outcomes of earlier parts: how many there are."""
    lines = path.read_text().splitlines() if path is not None and path.exists() else []
    for line in map(json.loads, lines):
        found[line["kind"]].append(Outcome(**line["outcome"]))
        if "moved" in line:
            moved.append(Moved(**line["moved"]))
    return len(lines)


def _has_moved(outcome: Outcome, before: Outcome) -> bool:
    return (
        outcome.became == MEASURED
        and before.offset_ms is not None
        and outcome.confidence > _CONFIDENT
        and abs(outcome.offset_ms - before.offset_ms) > _MOVED_MS
    )


# --------------------------------------------------------------------------- measuring


def _measurer(folder: Path, memory_mib: int, limit_s: float) -> Work[_Case, Outcome]:
    """What the worker begins with."""
    from synctool.measure.detect import Detector
    from synctool.networks.load import load_model

    # A stall within FFmpeg must be told as an error before the limit.
    measuring = Detector(model=load_model("fcn-cls"), stall_timeout=limit_s / 2)
    used = _status_kib("VmSize") * 1024
    resource.setrlimit(resource.RLIMIT_AS, (used + memory_mib * 2**20,) * 2)
    return lambda case, tell: _outcome(measuring, case.write(folder))


def _outcome(measuring, path: Path) -> Outcome:
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    began = time.monotonic()
    offset_ms, confidence = None, 0.0
    try:
        result = measuring.detect(path)
    except SyncToolError as error:
        became, words = REFUSED, str(error)
    except Exception as error:
        became, words = RAW, f"{type(error).__name__}: {error}"
    else:
        offset, confidence = result.offset_frames, result.confidence
        became = INCONCLUSIVE if offset is None else MEASURED
        offset_ms = None if offset is None else offset * FRAME_MS
        words = "; ".join(result.source.warnings)
    seconds = time.monotonic() - began
    return Outcome(became, offset_ms, confidence, words, _status_kib("VmHWM") / 1024, seconds)


def _status_kib(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


# --------------------------------------------------------------------------- what a player shows


def _compared(name: str, case: _Case, folder: Path, outcome: Outcome, before: Outcome) -> Moved:
    moved_ms = outcome.offset_ms - before.offset_ms
    told_ms = _told_by_packets(case.source, case.write(folder))
    share = sum(abs(ms - moved_ms) <= _MOVED_MS for ms in told_ms) / max(1, len(told_ms))
    median_ms = statistics.median(told_ms) if told_ms else None
    return Moved(name, moved_ms, median_ms, share, outcome.words)


def _told_by_packets(source: Path, path: Path) -> list[float]:
    """How far audio moved ahead of video, in ms, at each frame that is in both files."""
    was, now = _packet_times(source), _packet_times(path)
    later: dict[str, dict[int, float]] = {}
    for kind in ("video", "audio"):
        both = was[kind].keys() & now[kind].keys()
        later[kind] = {
            round(was[kind][packet] * VIDEO_FPS): now[kind][packet] - was[kind][packet]
            for packet in both
        }
    heard = sorted(later["audio"])
    if not heard:
        return []
    told = []
    for frame, moved_s in later["video"].items():
        nearest = min(heard, key=lambda at: abs(at - frame))
        told.append(1000 * (moved_s - later["audio"][nearest]))
    return told


def _packet_times(path: Path) -> dict[str, dict[bytes, float]]:
    """Presentation times in seconds of the packets that occur once, by kind of stream and content."""
    times: dict[str, dict[bytes, float]] = {"video": {}, "audio": {}}
    count: Counter[bytes] = Counter()
    with av.open(str(path)) as file, suppress(av.error.FFmpegError):
        for packet in file.demux():
            stamp = packet.pts if packet.pts is not None else packet.dts
            if packet.stream.type in times and packet.size and stamp is not None:
                content = bytes(packet)
                count[content] += 1
                times[packet.stream.type].setdefault(content, float(stamp * packet.time_base))
    return {
        kind: {content: at for content, at in found.items() if count[content] == 1}
        for kind, found in times.items()
    }


# --------------------------------------------------------------------------- printing


def _print(found: dict[str, list[Outcome]], moved: list[Moved]) -> None:
    columns = (MEASURED, INCONCLUSIVE, REFUSED, *_FAULTS)
    table = Table("mutation", *columns, "slowest", "peak", title="What became of mutated files")
    everything = [outcome for outcomes in found.values() for outcome in outcomes]
    for name, outcomes in (*found.items(), ("all", everything)):
        if outcomes:
            counts = Counter(outcome.became for outcome in outcomes)
            slowest_s = max(outcome.seconds for outcome in outcomes)
            peak_mib = max(outcome.peak_mib for outcome in outcomes)
            row = [str(counts[column]) for column in columns]
            table.add_row(name, *row, f"{slowest_s:.1f} s", f"{peak_mib:.0f} MiB")
    Console(width=110).print(table)
    print(f"{len(moved)} confident answers moved by more than {_MOVED_MS:g} ms:")
    for one in moved:
        told = "nothing" if one.packets_ms is None else f"{one.packets_ms:+.0f} ms"
        shown = "as shown" if one.share >= 0.5 else "NOT AS SHOWN"
        print(
            f"  {one.case}: {one.moved_ms:+.0f} ms, packets say {told}, so in {one.share:.0%} of the frames: "
            f"{shown}; warnings: {one.warnings or 'none'}"
        )


if __name__ == "__main__":
    main()
