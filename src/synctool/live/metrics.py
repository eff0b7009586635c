"""What is watched, as metrics for Prometheus."""

from __future__ import annotations

import errno
import math
from typing import Any

from synctool.errors import UsageError
from synctool.extras import require
from synctool.live.events import Event
from synctool.types import FRAME_MS

_PREFIX = "synctool_live"
_LOST = ("lost", "failed", "end")


class Metrics:
    """Serves metrics over HTTP, in threads of its own. Close it.

    Args:
        host: Address to listen at; empty for all of the machine.
        port: Port to listen at; 0 for any that is free.

    Attributes:
        port: The port.

    Raises:
        MissingError: The client library of Prometheus is not installed.
        UsageError: Nothing can listen there: the port is in use, say.
    """

    def __init__(self, host: str, port: int) -> None:
        require("live", "--metrics", "prometheus_client")
        import prometheus_client as prometheus

        self._registry = registry = prometheus.CollectorRegistry()
        prometheus.ProcessCollector(registry=registry)
        prometheus.PlatformCollector(registry=registry)

        def made(kind: Any, name: str, words: str, *labels: str) -> Any:
            return kind(f"{_PREFIX}_{name}", words, ["source", *labels], registry=registry)

        gauge, counter = prometheus.Gauge, prometheus.Counter
        self._up = made(gauge, "up", "Whether data come from the source")
        self._offset = made(
            gauge,
            "offset_seconds",
            "How far the audio is ahead of the video, NaN without an answer",
        )
        self._confidence = made(gauge, "confidence", "Confidence of the last answer, 0 without one")
        self._alarm = made(gauge, "alarm", "Whether there is an alarm")
        self._delay = made(gauge, "delay_seconds", "From the evidence of an answer to its arrival")
        self._drift = made(
            gauge, "drift_seconds_per_hour", "Growth of the offset, NaN while it is not known"
        )
        self._answers = made(counter, "answers", "Answers, by verdict", "verdict")
        self._without = made(counter, "without_answer", "Seconds without an answer", "reason")
        self._events = made(counter, "events", "Everything else that happened", "event")
        try:
            self._server, self._thread = prometheus.start_http_server(
                port, addr=host or "0.0.0.0", registry=registry
            )
        except OSError as error:
            why = "is in use" if error.errno == errno.EADDRINUSE else f"cannot be used: {error}"
            raise UsageError(
                f"the address {host}:{port} {why}", remedy="Give another one to --metrics."
            ) from error
        self.port: int = self._server.server_port

    def add(self, event: Event) -> None:
        """Take an event."""
        source = event.source
        self._alarm.labels(source).set(event.alarm)
        if event.kind == "answer" and event.answer is not None:
            self._answered(event)
            return
        self._events.labels(source, event.kind).inc()
        if event.kind == "start":
            self._up.labels(source).set(0)
        elif event.kind in _LOST:
            self._up.labels(source).set(0)
            self._offset.labels(source).set(math.nan)
            self._confidence.labels(source).set(0)
        elif event.kind == "part":
            self._up.labels(source).set(1)

    def _answered(self, event: Event) -> None:
        source, answer = event.source, event.answer
        assert answer is not None
        offset = answer.offset_frames
        self._offset.labels(source).set(math.nan if offset is None else offset * FRAME_MS / 1000)
        self._confidence.labels(source).set(0.0 if offset is None else answer.confidence)
        self._up.labels(source).set(1)
        if event.delay_s is not None:
            self._delay.labels(source).set(event.delay_s)
        drift = event.drift
        self._drift.labels(source).set(math.nan if drift is None else drift.ms_per_hour / 1000)
        if offset is None:
            self._without.labels(source, answer.reason_code or "").inc()
        else:
            self._answers.labels(source, answer.verdict).inc()

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(2.0)
