"""Running the bench: items in batches, in one process or several, with a journal."""

from __future__ import annotations

import os
import signal
import statistics
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import av

from synctool._version import __version__
from synctool.bench.answers import ROW_SCHEMA, Answer, Reply
from synctool.bench.card import Card, PartInputs
from synctool.bench.contents import generated
from synctool.bench.dataset import DatasetItem, dataset_items, moved_copy
from synctool.bench.items import PARTS, VERSION, Item, batches, checksum
from synctool.bench.rendering import rendered, signature
from synctool.bench.subjects import BackboneSubject, Subject, make_subject
from synctool.cores import usable_cores
from synctool.errors import SyncToolError, UsageError
from synctool.journal import Journal, RowKind
from synctool.settings.bench import BenchSettings
from synctool.temporaries import scratch_folder
from synctool.workers import Died, Tell, core_share, in_workers

ANSWERS: RowKind[Answer] = RowKind(
    schema="synctool.bench-journal/1",
    command="synctool bench",
    counted="answers",
    to_dict=Answer.to_dict,
    from_dict=Answer.from_dict,
    shape=Answer,
)
"""Rows of the journal of ``bench``."""
SPEED_RUNS = 3
"""The speed of a video is the median of so many runs; of one with ``--quick``."""
Batch = tuple[Item, ...] | tuple[DatasetItem, ...]


@dataclass(frozen=True)
class BenchProgress:
    """How far a run is.

    Attributes:
        done: Items that are finished.
        total: All items.
        resumed: Items that an earlier run had finished.
        failed: Finished items that failed.
        wrong: Finished items that are not right, failures apart.
        part: The part last heard of.
    """

    done: int
    total: int
    resumed: int = 0
    failed: int = 0
    wrong: int = 0
    part: str = ""


@dataclass(frozen=True)
class Contents:
    """What a run asks.

    Attributes:
        batches: What is rendered together.
        inputs: Parts with their checksums.
        items: How many items.
    """

    batches: tuple[Batch, ...]
    inputs: tuple[PartInputs, ...]
    items: int


def contents_for(settings: BenchSettings) -> Contents:
    """What a run with these settings asks.

    Raises:
        UsageError: A command cannot be given stored clips.
        SyncToolError: See ``dataset_items``.
    """
    wanted = settings.only or tuple(PARTS)
    items = [item for item in generated(quick=settings.quick) if item.part in wanted]
    clips: list[DatasetItem] = []
    if settings.dataset is not None and "dataset" in wanted:
        clips = dataset_items(
            settings.dataset,
            part=settings.part,
            constants=settings.constants,
            limit=settings.limit,
        )
        if settings.command is not None and any(clip.entry.clip is not None for clip in clips):
            raise UsageError(
                f"{settings.dataset} holds stored clips, which a command cannot be given",
                remedy="Give --dataset a folder of videos.",
            )
    ordinary = [item for item in items if item.part != "speed"]
    timed = [item for item in items if item.part == "speed"]
    found: list[Batch] = [*batches(ordinary), *((clip,) for clip in clips), *batches(timed)]
    every = [item for batch in found for item in batch]
    inputs = []
    for part in PARTS:
        own = [item for item in every if item.part == part]
        if own:
            inputs.append(PartInputs(part, checksum(own), len(own)))
    return Contents(tuple(found), tuple(inputs), len(every))


def run_bench(
    settings: BenchSettings,
    *,
    contents: Contents | None = None,
    journal: str | os.PathLike[str] | None = None,
    on_progress: Callable[[BenchProgress], None] | None = None,
) -> Card:
    """Ask everything, and add it up.

    What the subject does wrong, a crash or a hang of a command too, becomes an answer that failed.

    Args:
        settings: What is tested, and by what.
        contents: What is asked, in place of ``contents_for(settings)``.
        journal: File that keeps finished items; a second run with the same settings goes on with it.
        on_progress: Called as the work goes on.

    Raises:
        UsageError: A wrong setting, or another run's journal.
        MissingError: Weights, data or the program are not here.
        OutputError: Disk or journal cannot be written; what is in the journal stays.
        SyncToolError: A video of the bench cannot be rendered here.
    """
    contents = contents or contents_for(settings)
    subject = make_subject(settings)
    facts = subject.facts
    with ExitStack() as stack:
        noted = None
        if journal is not None:
            noted = stack.enter_context(Journal(journal, _decides(facts, contents), ANSWERS))
        folder = stack.enter_context(scratch_folder())
        stack.callback(subject.end)
        state = _State(contents.items, on_progress)
        answers: dict[int, tuple[Answer, ...]] = {}
        waiting = []
        for number, batch in enumerate(contents.batches):
            key = _key(batch)
            if noted is not None and key in noted:
                answers[number] = noted.read(key).rows
                state.resumed(answers[number])
            else:
                waiting.append(number)
        state.tell()
        asked = stack.enter_context(
            closing(_asked(contents, waiting, subject, settings, folder, state))
        )
        for number, found in asked:
            if noted is not None:
                batch = contents.batches[number]
                noted.add(_key(batch), batch[0].id, found)
            answers[number] = found
    ordered = [answer for number in sorted(answers) for answer in answers[number]]
    first = next((b[0].scene for b in contents.batches if isinstance(b[0], Item)), None)
    return Card.of(
        facts,
        contents.inputs,
        ordered,
        quick=settings.quick,
        signature={} if first is None else signature(first),
    )


def _asked(
    contents: Contents,
    waiting: Sequence[int],
    subject: Subject,
    settings: BenchSettings,
    folder: Path,
    state: _State,
) -> Generator[tuple[int, tuple[Answer, ...]]]:
    """Batches with their answers as they are finished; speed last, when nothing else runs."""
    timed = [n for n in waiting if contents.batches[n][0].part == "speed"]
    others = [n for n in waiting if n not in timed]
    jobs = min(settings.jobs or usable_cores(), len(others))
    if jobs > 1:
        for number, found in in_workers(
            partial(_make_worker, contents, settings, folder, core_share(jobs)),
            others,
            workers=jobs,
            on_told=lambda number, answer: state.told(answer),
        ):
            if isinstance(found, Died):
                found = _all_failed(contents.batches[number], found.reason)
                for answer in found:
                    state.told(answer)
            yield number, found
        others = []
    work = BatchWork(contents, subject, folder, quick=settings.quick)
    for number in [*others, *timed]:
        yield number, work(number, state.told)


class BatchWork:
    """Asks a subject of the items of a batch.

    Args:
        contents: All batches.
        subject: Whom.
        folder: Where videos are made.
        quick: Whether the speed is measured once.
    """

    def __init__(self, contents: Contents, subject: Subject, folder: Path, *, quick: bool) -> None:
        self._contents, self._subject, self._folder = contents, subject, folder
        self._speed_runs = 1 if quick else SPEED_RUNS

    def __call__(self, number: int, tell: Tell) -> tuple[Answer, ...]:
        """The answers of one batch; each is told as it comes."""
        found = []
        for answer in self._answers(self._contents.batches[number]):
            tell(answer)
            found.append(answer)
        return tuple(found)

    def _answers(self, batch: Batch) -> Iterator[Answer]:
        first = batch[0]
        if isinstance(first, DatasetItem):
            yield self._of_clip(first)
            return
        own = [item for item in batch if isinstance(item, Item)]
        with rendered(own, self._folder) as files:
            for item, video in files:
                yield self._timed(item, video) if item.part == "speed" else self._one(item, video)

    def _one(self, item: Item | DatasetItem, video: Path) -> Answer:
        began = time.perf_counter()
        reply = self._subject.measure(video, item.truth_ms)
        return Answer.of(item, reply, round(time.perf_counter() - began, 3))

    def _timed(self, item: Item, video: Path) -> Answer:
        """The median of several runs, each beside decoding the video."""
        decoded, runs = [], []
        for _ in range(self._speed_runs):
            decoded.append(decode_seconds(video))
            runs.append(self._one(item, video))
            if runs[-1].failed:
                return runs[-1]
        runs.sort(key=lambda answer: answer.seconds)
        return replace(runs[len(runs) // 2], decode_s=round(statistics.median(decoded), 4))

    def _of_clip(self, item: DatasetItem) -> Answer:
        if item.entry.clip is not None:
            assert isinstance(self._subject, BackboneSubject)
            began = time.perf_counter()
            reply, duration_s = self._subject.measure_clip(item)
            answer = Answer.of(item, reply, round(time.perf_counter() - began, 3))
            return replace(answer, duration_s=duration_s)
        try:
            with moved_copy(item, self._folder) as video:
                return self._one(item, video)
        except SyncToolError as error:
            unread = Answer.of(item, Reply(error=f"the clip cannot be read: {error.cause}"), 0.0)
            return replace(unread, usable=False)


def decode_seconds(video: Path) -> float:
    """Wall time of decoding both streams of a video, as many threads as FFmpeg likes."""
    began = time.perf_counter()
    with av.open(str(video)) as file:
        for stream in file.streams:
            stream.codec_context.thread_type = "AUTO"
        for _ in file.decode(video=0, audio=0):
            pass
    return time.perf_counter() - began


def _make_worker(
    contents: Contents, settings: BenchSettings, folder: Path, threads: int
) -> BatchWork:
    """What a worker process begins with."""
    subject = make_subject(settings, threads=threads)

    def ended(number: int, frame: Any) -> None:
        subject.end()
        os._exit(128 + number)

    signal.signal(signal.SIGTERM, ended)  # its command must not outlive it
    return BatchWork(contents, subject, folder, quick=settings.quick)


def _all_failed(batch: Batch, reason: str) -> tuple[Answer, ...]:
    return tuple(Answer.of(item, Reply(error=reason), 0.0) for item in batch)


def _decides(facts: Mapping[str, Any], contents: Contents) -> dict[str, Any]:
    """All that answers depend on."""
    return {
        "bench": VERSION,
        "synctool": __version__,
        "subject": dict(facts),
        "inputs": {part.name: part.hash for part in contents.inputs},
        "rows": ROW_SCHEMA,
    }


def _key(batch: Batch) -> str:
    return checksum(batch)


class _State:
    """Counts, and tells them."""

    def __init__(self, total: int, on_progress: Callable[[BenchProgress], None] | None) -> None:
        self._now = BenchProgress(0, total)
        self._on_progress = on_progress

    def tell(self) -> None:
        if self._on_progress:
            self._on_progress(self._now)

    def resumed(self, answers: Sequence[Answer]) -> None:
        for answer in answers:
            self._count(answer)
        self._now = replace(self._now, resumed=self._now.resumed + len(answers))

    def told(self, answer: Answer) -> None:
        self._count(answer)
        self.tell()

    def _count(self, answer: Answer) -> None:
        now = self._now
        self._now = replace(
            now,
            done=now.done + 1,
            failed=now.failed + answer.failed,
            wrong=now.wrong + (not answer.right and not answer.failed),
            part=answer.part,
        )
