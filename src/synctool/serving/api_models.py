"""What the API takes and gives, as its OpenAPI document shows it."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any, Literal

from pydantic import BaseModel, Field

from synctool._version import __version__
from synctool.serving.job_files import FileKind
from synctool.serving.jobs import Stage
from synctool.serving.service import JobNow, Service


class Problem(BaseModel):
    """What went wrong, and what can be done about it."""

    error: str
    remedy: str | None = None


class PathOrder(BaseModel):
    """A video in one of the folders that the service allows."""

    path: str = Field(
        min_length=1, max_length=4096, description="Absolute, or below one of the allowed folders."
    )
    fix: bool = Field(False, description="Whether a repaired file is wanted.")


class SessionOrder(BaseModel):
    """A token, for which the page gets a cookie."""

    token: str = Field(min_length=1, max_length=1024)


class Job(BaseModel):
    """A job and how far it is."""

    id: str
    name: str = Field(description="Of the video.")
    size_bytes: int
    fix: bool
    state: Literal["queued", "running", "done", "failed"]
    ahead: int | None = Field(None, description="How many jobs wait before it while it waits.")
    stage: Stage | None = Field(None, description="What is done with it now.")
    share: float | None = Field(None, description="How much of the stage is done, 0 to 1.")
    created_at: datetime
    started_at: datetime | None = None
    ended_at: datetime | None = None
    deleted_at: datetime | None = Field(None, description="When it will be deleted.")
    said: str | None = Field(None, description="What was found, in a sentence.")
    verdict: str | None = None
    offset_ms: int | None = Field(None, description="Positive where the audio is ahead.")
    confidence: float | None = None
    repair: str | None = Field(None, description="What became of the repair, in words.")
    problem: Problem | None = Field(None, description="Why it failed.")
    files: list[FileKind] = Field(default_factory=list, description="What can be fetched.")

    @classmethod
    def of(cls, now: JobNow, service: Service) -> Job:
        """A job as the API shows it."""
        record, outcome = now.record, now.record.outcome
        keep_s = service.settings.keep_hours * 3600
        ends = record.ended_s + keep_s if record.ended_s is not None and keep_s else None
        facts: dict[str, Any] = {
            "id": record.id,
            "name": record.name,
            "size_bytes": record.size_bytes,
            "fix": record.fix,
            "state": record.state,
            "ahead": now.ahead,
            "created_at": _moment(record.created_s),
            "started_at": _moment(record.started_s),
            "ended_at": _moment(record.ended_s),
            "deleted_at": _moment(ends),
        }
        if now.progress is not None:
            facts.update(stage=now.progress.stage, share=now.progress.share)
        if outcome is not None:
            facts.update(
                said=outcome.said,
                verdict=outcome.verdict,
                offset_ms=outcome.offset_ms,
                confidence=outcome.confidence,
                repair=outcome.repair,
                files=list(service.files.written(record)),
            )
            if outcome.failure is not None:
                facts["problem"] = Problem(error=outcome.failure[0], remedy=outcome.failure[1])
        return cls(**facts)


class Jobs(BaseModel):
    """Jobs, the latest first."""

    jobs: list[Job]
    next: int | None = Field(None, description="What ?before= takes for older ones.")


class Limits(BaseModel):
    """What may be sent at most."""

    upload_bytes: int
    minutes: float
    megapixels: float
    streams: int
    waiting: int


class About(BaseModel):
    """The service, for who may use it."""

    version: str = __version__
    limits: Limits
    keep_hours: float
    paths: bool = Field(description="Whether videos may be named by their paths.")
    workers: int
    queued: int
    running: int

    @classmethod
    def of(cls, service: Service) -> About:
        """A service at this moment."""
        s = service.settings
        return cls(
            limits=Limits(
                upload_bytes=int(s.upload_mb * 1e6),
                minutes=s.max_minutes,
                megapixels=s.max_megapixels,
                streams=s.max_streams,
                waiting=s.queue,
            ),
            keep_hours=s.keep_hours,
            paths=bool(s.allow),
            workers=service.workers,
            queued=service.store.count("queued"),
            running=service.store.count("running"),
        )


class Health(BaseModel):
    """That the service answers."""

    status: Literal["ok"] = "ok"


def _moment(seconds: float | None) -> datetime | None:
    if seconds is None:
        return None
    return datetime.fromtimestamp(round(seconds, 3), timezone.utc)
