"""The threads that fetch one file together, and the pieces that they share.

The file is cut into pieces; each thread asks for one after the other as a range, and writes what comes
where it belongs. The first asks alone, and the others join in when the server has begun to give. A thread
that gets nowhere leaves its piece to the others if they do better, as when a server allows few connections.
The calling thread keeps the notes and tells how far it is.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import tenacity

from synctool.downloads.failures import Changed, Interrupted, NoRanges, Refused, Stopped
from synctool.downloads.http import Answer, Http
from synctool.downloads.partial import Partial
from synctool.errors import OutputError

PIECE_BYTES = 32 << 20
"""Size of the pieces: large beside the cost of a request, small beside a data set."""
SAVE_S = 1.0
"""Time between two notes of what is here: what a killed process loses at most."""
_POLL_S = 0.1
_LAST_WAIT_S = 1.0
_LONGEST_BACKOFF_S = 60.0
_ENOUGH_BYTES = 64 << 10
_log = logging.getLogger(__name__)

ReportProgress = Callable[[int, "int | None", "str | None"], None]
"""Called ten times a second in the calling thread: bytes here, bytes in all, what is waited for."""


@dataclass(frozen=True)
class Job:
    """What is to be fetched; see ``transfer``."""

    http: Http
    url: str
    partial: Partial
    size: int | None
    checked: bool
    on_total: Callable[[int], None]


@dataclass
class _Piece:
    """A segment of the file, from its next missing byte on; ``stop`` is None where it has no end."""

    position: int
    stop: int | None


class RangeWorkers:
    """One attempt at a job.

    Args:
        job: What is to be fetched.
        ranges: Whether to ask for parts; otherwise for the whole file in one stream.
        workers: Threads.
        retries: Tries again after a failure that brought nothing new.
        wait_s: First wait before trying again, in seconds; it doubles each time.
    """

    def __init__(
        self, job: Job, *, ranges: bool, workers: int, retries: int, wait_s: float
    ) -> None:
        self._job, self._partial, self._ranges = job, job.partial, ranges
        self._retries, self._wait_s = retries, wait_s
        self._stop = threading.Event()
        self._news = threading.Condition()
        self._failure: BaseException | None = None
        self._given_up: Interrupted | None = None
        self._waiting: str | None = None
        self._asked = False
        self._giving = not ranges
        self._pieces: deque[_Piece] = deque()
        if not ranges:
            self._pieces.append(_Piece(0, None))
        elif self._partial.total is None:
            self._pieces.append(_Piece(0, PIECE_BYTES))
        else:
            self._plan(self._partial.total)
            workers = min(workers, len(self._pieces))
        self._moved_at = {f"fetch-{number}": 0.0 for number in range(workers)}

    def work(self, report_progress: ReportProgress) -> None:
        """Fetch what is missing.

        Raises:
            Refused: The address does not give the file.
            Changed: It is another file than the one whose bytes are here.
            NoRanges: It cannot be had in parts.
            RangeRefused: It has no such part.
            OSError: The disk does not take it.
        """
        # Daemons, since one that waits for a silent server must not hold up the end of the program.
        threads = [
            threading.Thread(target=self._run, daemon=True, name=name) for name in self._moved_at
        ]
        try:
            for thread in threads:
                thread.start()
            saved_at = time.monotonic()
            while alive := [thread for thread in threads if thread.is_alive()]:
                alive[0].join(_POLL_S)
                report_progress(self._partial.held, self._partial.total, self._waiting)
                if time.monotonic() - saved_at >= SAVE_S:
                    self._save()
                    saved_at = time.monotonic()
        finally:
            self._end()
            until = time.monotonic() + _LAST_WAIT_S
            for thread in threads:
                if thread.ident is not None:
                    thread.join(max(0.0, until - time.monotonic()))
            self._save()
        if self._failure is not None:
            raise self._failure
        if not self._partial.complete:
            raise Refused(str(self._given_up or "ended early"), momentary=True)

    def _save(self) -> None:
        with suppress(OSError, OutputError):  # on a full disk, the last note still holds
            self._partial.save()

    def _end(self) -> None:
        self._stop.set()
        with self._news:
            self._news.notify_all()

    # ------------------------------------------------------------------------ in the threads

    def _run(self) -> None:
        try:
            while (piece := self._next()) is not None:
                self._fetch(piece)
        except Stopped:
            pass
        except BaseException as error:  # to be raised in the calling thread
            with self._news:
                self._failure = self._failure or error
            self._end()

    def _next(self) -> _Piece | None:
        """The next piece, None if there is none; all but the first thread wait for the server."""
        with self._news:
            while self._asked and not self._giving and not self._stop.is_set():
                self._news.wait()
            self._asked = True
            return self._pieces.popleft() if self._pieces and not self._stop.is_set() else None

    def _plan(self, total: int, *, but: _Piece | None = None) -> None:
        """Cut what is missing into pieces; one of them is in work already."""
        for start, stop in self._partial.gaps(total):
            first = start if but is None else max(start, but.stop or total)
            for position in range(first, stop, PIECE_BYTES):
                self._pieces.append(_Piece(position, min(position + PIECE_BYTES, stop)))

    def _fetch(self, piece: _Piece) -> None:
        """Fetch a piece, or leave it to the others where they do better."""
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(Interrupted),
            stop=tenacity.stop_after_attempt(1 + self._retries),
            wait=self._backoff_s,
            before_sleep=self._tell,
            sleep=self._sleep,
            reraise=True,
        )
        me, since = threading.current_thread().name, time.monotonic()
        try:
            while piece.stop is None or piece.position < piece.stop:
                since = time.monotonic()
                retrying(self._attempt, piece)
        except Interrupted as error:
            with self._news:
                if any(at > since for name, at in self._moved_at.items() if name != me):
                    self._given_up = error
                    self._pieces.append(piece)
                    raise Stopped from error
            raise Refused(str(error), momentary=True) from error

    def _backoff_s(self, state: tenacity.RetryCallState) -> float:
        growing = tenacity.wait_exponential(multiplier=self._wait_s, max=_LONGEST_BACKOFF_S)
        # Many programs that wait for one server must not come back at the same moment.
        apart = tenacity.wait_random(0, self._wait_s)
        error = state.outcome.exception() if state.outcome else None
        asked_s = error.retry_after_s if isinstance(error, Interrupted) else 0.0
        return max(asked_s, growing(state) + apart(state))

    def _tell(self, state: tenacity.RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        wait_s = state.next_action.sleep if state.next_action else 0.0
        self._waiting = f"{error}; again in {wait_s:.0f} s"
        _log.info("%s: %s", self._job.url, self._waiting)

    def _sleep(self, seconds: float) -> None:
        if self._stop.wait(seconds):
            raise Stopped

    def _attempt(self, piece: _Piece) -> None:
        """Ask once; a line that drops is no failure when it brought something that is kept."""
        before = piece.position
        try:
            self._receive(piece)
        except Interrupted:
            if not self._ranges or piece.position - before < _ENOUGH_BYTES:
                raise

    def _receive(self, piece: _Piece) -> None:
        partial, job = self._partial, self._job
        if not self._ranges and piece.position:
            piece.position = 0
            partial.discard()
            partial.begin(job.url, checked=job.checked)
        span = (piece.position, piece.stop) if piece.stop is not None else None
        if_range = partial.if_range if self._ranges else None
        with job.http.open(job.url, span, if_range=if_range) as answer, partial.open() as handle:
            end = self._part(answer, piece) if self._ranges else self._whole(answer)
            for chunk in answer.chunks:
                if self._stop.is_set():
                    raise Stopped
                if end is not None and piece.position + len(chunk) > end:
                    raise Refused("sends more bytes than it promised")
                partial.write(handle, piece.position, chunk)
                piece.position += len(chunk)
                self._moved_at[threading.current_thread().name] = time.monotonic()
                self._waiting = None
        if end is not None and piece.position < end:
            raise Interrupted(f"the line dropped {end - piece.position} bytes early")
        if not self._ranges:
            piece.stop = partial.total = piece.position

    def _part(self, answer: Answer, piece: _Piece) -> int:
        """Make sure that an answer brings the part that was asked for, and say where it ends."""
        if not answer.partial:
            raise NoRanges if self._partial.belongs(answer) else Changed
        asked = piece.stop if piece.stop is not None else 0
        if answer.stop is None or not piece.position == answer.start < answer.stop <= asked:
            raise NoRanges
        self._check_size(answer)
        if not self._partial.belongs(answer):
            raise Changed
        if self._partial.total is None:
            if answer.total is None:
                raise NoRanges
            self._job.on_total(answer.total)
            with self._news:
                self._partial.total = answer.total
                piece.stop = min(asked, answer.total)
                self._plan(answer.total, but=piece)
        elif answer.total not in (None, self._partial.total):
            raise Changed
        with self._news:
            self._giving = True
            self._news.notify_all()
        return answer.stop

    def _whole(self, answer: Answer) -> int | None:
        """The end of a whole file, None where nobody knows it."""
        self._check_size(answer)
        if answer.total is None:
            return self._job.size
        self._job.on_total(answer.total)
        self._partial.total = answer.total
        return answer.total

    def _check_size(self, answer: Answer) -> None:
        size = self._job.size
        if size is not None and answer.total not in (None, size):
            raise Refused(f"has a file of {answer.total} bytes in place of {size}")
