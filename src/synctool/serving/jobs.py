"""What is to be done with a video, how far that is, and what became of it: what goes to a worker and comes
back. Imports nothing heavy: only the worker processes measure.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from synctool.errors import EXIT_OK, MissingError, OutputError, SyncToolError
from synctool.report.outcome import Failure
from synctool.workers import Died

Stage = Literal["measuring", "reporting", "repairing", "checking"]
"""What is done with a video, in this order."""


@dataclass(frozen=True)
class VideoLimits:
    """The most that a video may have; None for no limit.

    Attributes:
        minutes: Length.
        megapixels: Size of an image, in millions of pixels.
        streams: Streams of any kind.
    """

    minutes: float | None = None
    megapixels: float | None = None
    streams: int | None = None

    @property
    def any(self) -> bool:
        """Whether there is a limit."""
        return (self.minutes, self.megapixels, self.streams) != (None, None, None)


@dataclass(frozen=True)
class VideoJob:
    """A video, and what is wanted of it. Paths are the worker's own; names are what people see.

    Attributes:
        id: Tells it from other jobs.
        path: The video.
        name: Its name in reports.
        json: File of the result; None where it is not wanted.
        page: The same for the HTML page.
        plot: The same for the plot.
        fixed: The same for the repaired video.
        fix_json: The same for what the repair did.
        command: What the page says made it.
        limits: What the video may be at most.
    """

    id: str
    path: str
    name: str
    json: str | None = None
    page: str | None = None
    plot: str | None = None
    fixed: str | None = None
    fix_json: str | None = None
    command: str = ""
    limits: VideoLimits = field(default_factory=VideoLimits)


@dataclass(frozen=True)
class JobProgress:
    """How far a job is.

    Attributes:
        stage: What is done now.
        share: How much of that is done, 0..1; None where that is not known.
    """

    stage: Stage
    share: float | None = None


@dataclass(frozen=True)
class JobOutcome:
    """What became of a video, in brief; the rest is in its files.

    Attributes:
        said: In one sentence.
        verdict: Of the measurement; None for a failure.
        offset_ms: The same.
        confidence: The same.
        repair: What became of the repair, in one sentence; None where none was wanted.
        repaired: Whether there is a repaired file.
        exit_code: What a command ends with on its account.
        failure: The cause and the remedy where there is no result.
        passing: Whether the failure may be gone the next time: a disk that was full, a file that was away.
    """

    said: str
    verdict: str | None = None
    offset_ms: int | None = None
    confidence: float | None = None
    repair: str | None = None
    repaired: bool = False
    exit_code: int = EXIT_OK
    failure: tuple[str, str | None] | None = None
    passing: bool = False

    @classmethod
    def failed(cls, error: SyncToolError, name: str) -> JobOutcome:
        """The outcome that an error is."""
        failure = Failure.of(name, error)
        passing = isinstance(error, OutputError | MissingError)
        told = (failure.cause, failure.remedy)
        return cls(failure.said, exit_code=failure.exit_code, failure=told, passing=passing)

    @classmethod
    def of(cls, done: JobOutcome | Died, name: str) -> JobOutcome:
        """The outcome of a job that may have died."""
        if not isinstance(done, Died):
            return done
        remedy = (
            "Send a shorter or smaller version; a damaged file that crashes a decoder is a bug."
        )
        return cls.failed(SyncToolError(done.reason, remedy=remedy), name)
