"""Watching sources: each in threads of its own, all with one model and one face detector."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from synctool.errors import SyncToolError, described
from synctool.live.addresses import LiveAddress
from synctool.live.alarms import Alarm, Limits
from synctool.live.clock_drift import DriftWatch
from synctool.live.events import Event, EventKind
from synctool.live.measuring import Measuring, Moment, measure_part
from synctool.live.parts import Part
from synctool.live.reader import LiveReader, Loss, Reading
from synctool.measure.threads import encoding_pool

_log = logging.getLogger(__name__)
_LOOK_S = 0.5


@dataclass(frozen=True)
class Watching:
    """How sources are watched.

    Attributes:
        measuring: What measures them.
        reading: How they are read.
        limits: Offsets that are in order; None raises no alarm.
        for_s: See ``Alarm``.
    """

    measuring: Measuring
    reading: Reading
    limits: Limits | None = None
    for_s: float = 5.0


@dataclass
class Outcome:
    """What came of a source.

    Attributes:
        answers: Answers with an offset.
        alarms: Alarms that were raised.
        error: Why it was given up; None where it was not.
    """

    answers: int = 0
    alarms: int = 0
    error: SyncToolError | None = None


class SourceWatch:
    """Watches one source until it ends or is stopped.

    Args:
        address: The source.
        how: How it is watched.
        on_event: Told everything, in the threads of this source; must not take long.

    Attributes:
        outcome: What has come of it so far.
    """

    def __init__(
        self, address: LiveAddress, how: Watching, on_event: Callable[[Event], None]
    ) -> None:
        self._address = address
        self._how = how
        self._on_event = on_event
        self._reader = LiveReader(address, how.reading, on_loss=self._lost, on_change=self._changed)
        self._alarm = None if how.limits is None else Alarm(how.limits, for_s=how.for_s)
        self._drift = DriftWatch()
        self._before_s = 0.0
        self._at_s = 0.0
        self._part: int | None = None
        self.outcome = Outcome()

    def run(self) -> None:
        """Watch it; errors end up in ``outcome``."""
        self._tell("start")
        try:
            with encoding_pool(self._how.measuring.model.runtime) as pool:
                for part in self._reader.parts():
                    self._begin(part)
                    for moment in measure_part(part, self._how.measuring, pool=pool):
                        self._answer(part, moment)
                    self._end(part)
        except Exception as error:
            known = isinstance(error, SyncToolError)
            self.outcome.error = error if known else SyncToolError(described(error))
            if not known:
                _log.exception("%s", self._address.label)
            self._tell("failed", detail=self.outcome.error.cause)
        finally:
            self._reader.close()
            self._tell("end")

    def stop(self) -> None:
        """End it soon; from any thread."""
        self._reader.close()

    def _begin(self, part: Part) -> None:
        facts = part.facts
        self._part = part.number
        self._drift.restart()
        self._tell(
            "part",
            detail="; ".join(facts.notes),
            more={
                "width_px": facts.width_px,
                "height_px": facts.height_px,
                "video_fps": round(facts.video_fps, 3),
                "audio_hz": facts.audio_hz,
            },
        )

    def _end(self, part: Part) -> None:
        self._before_s = self._at_s
        if part.end is not None and part.end.reason in ("break", "overload"):
            self._tell(part.end.reason, detail=part.end.detail)

    def _answer(self, part: Part, moment: Moment) -> None:
        self._at_s = self._before_s + moment.at_s
        found = moment.answer
        if found.offset_ms is not None:
            self.outcome.answers += 1
            self._drift.add(found.offset_ms, self._at_s, confidence=found.confidence)
        change = None
        if self._alarm is not None:
            change = self._alarm.add(found.offset_ms, self._at_s)
        event = Event(
            "answer",
            self._address.label,
            t_s=self._at_s,
            part=part.number,
            answer=found,
            alarm=self._alarm is not None and self._alarm.active,
            drift=self._drift.drift,
            delay_s=moment.delay_s,
        )
        self._on_event(event)
        if change is not None:
            self.outcome.alarms += change == "alarm"
            self._on_event(replace(event, kind=change))

    def _lost(self, loss: Loss) -> None:
        self._tell("lost", detail=loss.reason, more={"again_in_s": round(loss.again_in_s, 1)})

    def _changed(self, detail: str) -> None:
        self._tell("change", detail=detail)

    def _tell(self, kind: EventKind, *, detail: str = "", more: dict | None = None) -> None:
        self._on_event(
            Event(
                kind,
                self._address.label,
                t_s=self._at_s,
                part=self._part,
                alarm=self._alarm is not None and self._alarm.active,
                detail=detail,
                more=more or {},
            )
        )


def watch(
    addresses: Sequence[LiveAddress],
    how: Watching,
    on_event: Callable[[Event], None],
    *,
    stop: threading.Event | None = None,
) -> list[Outcome]:
    """Watch sources until all of them have ended, or somebody stops it.

    Args:
        addresses: The sources.
        how: How they are watched.
        on_event: Told everything, one event at a time; must not take long.
        stop: Ends it when it is set.

    Returns:
        What came of each.
    """
    telling = threading.Lock()

    def tell(event: Event) -> None:
        with telling:
            on_event(event)

    watches = [SourceWatch(address, how, tell) for address in addresses]
    threads = [
        threading.Thread(target=own.run, name=f"synctool-{a.label}", daemon=True)
        for own, a in zip(watches, addresses)
    ]
    for thread in threads:
        thread.start()
    try:
        while any(thread.is_alive() for thread in threads):
            if stop is not None and stop.is_set():
                break
            for thread in threads:
                thread.join(_LOOK_S / len(threads))
    finally:
        for own in watches:
            own.stop()
        for thread in threads:
            thread.join(5.0)
    return [own.outcome for own in watches]
