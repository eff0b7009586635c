"""An outside command as the subject of the bench: run once a video, bounded in time and in what it prints."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import threading
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from synctool.bench.answers import Reply
from synctool.bench.printed_answers import AnswerForm, UnreadableError
from synctool.errors import MissingError, UsageError
from synctool.names import printable

VIDEO = "{video}"
LARGEST_OUTPUT = 1 << 20
"""A command that prints more is ended: a failure."""
_KEPT_ERRORS = 4096
_LONGEST_REASON = 200
_DRAIN_S = 1.0


def command_words(command: str) -> list[str]:
    """The words of a command.

    Raises:
        UsageError: Its quotation marks do not match, it is empty, or no word has ``{video}``.
        MissingError: There is no such program.
    """
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise UsageError(
            f"--command {command!r}: {error}", remedy="Check its quotation marks."
        ) from error
    if not any(VIDEO in word for word in words):
        raise UsageError(
            f"--command {command!r} has no {VIDEO}",
            remedy=f"Write {VIDEO} where the path of the video belongs.",
        )
    if shutil.which(words[0]) is None:
        raise MissingError(
            f"--command: there is no program {words[0]!r}",
            remedy="Give its path, and check that it may be run.",
        )
    return words


class CommandSubject:
    """Runs a command for each video. No shell is involved.

    Args:
        command: Program and arguments as one text; ``{video}`` stands for the path of the video.
        form: Where its answer stands.
        timeout_s: Longest time for one video.

    Raises:
        UsageError: See ``command_words``.
        MissingError: See ``command_words``.
    """

    def __init__(self, command: str, form: AnswerForm, *, timeout_s: float) -> None:
        self._words = command_words(command)
        self._command, self._form, self._timeout_s = command, form, timeout_s
        self._running: subprocess.Popen[bytes] | None = None

    @property
    def facts(self) -> dict[str, Any]:
        """What it is, for card and journal."""
        return {
            "kind": "command",
            "name": self._command,
            "answer_key": self._form.key,
            "answer_unit": self._form.unit,
            "answer_sign": self._form.sign,
            "timeout_s": self._timeout_s,
        }

    def measure(self, video: Path, truth_ms: float | None) -> Reply:
        """Run the command; whatever it does is a reply."""
        words = [word.replace(VIDEO, os.fspath(video)) for word in self._words]
        try:
            process = subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,  # so that its children can be ended with it
            )
        except OSError as error:
            return Reply(error=f"it cannot be run: {error.strerror or error}")
        self._running = process
        try:
            return self._reply(process)
        finally:
            self.end()

    def end(self) -> None:
        """End the command that runs, and what it has started."""
        process, self._running = self._running, None
        if process is None:
            return
        _kill(process)
        with suppress(subprocess.TimeoutExpired):
            process.wait(_DRAIN_S)

    def _reply(self, process: subprocess.Popen[bytes]) -> Reply:
        assert process.stdout is not None and process.stderr is not None
        printed = _Collected(process.stdout, process, most=LARGEST_OUTPUT)
        errors = _Collected(process.stderr, process, most=None)
        try:
            process.wait(self._timeout_s)
        except subprocess.TimeoutExpired:
            return Reply(error=f"it took longer than {self._timeout_s:g} s")
        # What it has left running may hold the pipes open; its own words are all there soon.
        printed.wait(_DRAIN_S)
        errors.wait(0.1)
        if printed.overflowed:
            return Reply(error=f"it printed more than {LARGEST_OUTPUT >> 20} MiB")
        return self._read(process.returncode, printed.text, errors.text)

    def _read(self, code: int, printed: str, errors: str) -> Reply:
        if code < 0:
            return Reply(error=f"it was killed by {_signal_name(-code)}")
        try:
            offset_ms = self._form.read(printed)
        except UnreadableError as error:
            return Reply(error=str(error) if code == 0 else _ended(code, errors))
        if code != 0 and offset_ms is not None:
            return Reply(error=_ended(code, errors))
        return Reply(offset_ms=offset_ms)


class _Collected:
    """Reads a pipe in a thread, so that it never fills; keeps what fits."""

    def __init__(
        self, pipe: IO[bytes], process: subprocess.Popen[bytes], *, most: int | None
    ) -> None:
        self.overflowed = False
        self._kept = bytearray()
        self._pipe, self._process, self._most = pipe, process, most
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def wait(self, seconds: float) -> None:
        self._thread.join(seconds)

    @property
    def text(self) -> str:
        return bytes(self._kept).decode("utf-8", "replace")

    def _read(self) -> None:
        with suppress(OSError, ValueError), self._pipe:
            while chunk := self._pipe.read1(65536):  # type: ignore[attr-defined]
                self._kept += chunk
                if self._most is None:
                    del self._kept[:-_KEPT_ERRORS]
                elif len(self._kept) > self._most:
                    self.overflowed = True
                    _kill(self._process)
                    return


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End a command and all of its session."""
    with suppress(OSError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()


def _ended(code: int, errors: str) -> str:
    lines = [line.strip() for line in errors.splitlines() if line.strip()]
    told = f": {printable(lines[-1])[:_LONGEST_REASON]}" if lines else ""
    return f"it ended with {code}{told}"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
