"""A run of ``synctool live``: sources, what is told of them, and how it ends."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from synctool.cli.places import STANDARD_OUTPUT
from synctool.errors import (
    EXIT_INCONCLUSIVE,
    EXIT_OK,
    EXIT_OUT_OF_TOLERANCE,
    OutputError,
    UsageError,
    no_effect,
)
from synctool.settings.live import LiveSettings, listening_address

if TYPE_CHECKING:
    from synctool.live.events import Event
    from synctool.live.watching import Outcome, Watching

Outlet = Callable[["Event"], None]
_REFRESHED_HZ = 2
_SENT = {"alarm", "recovery", "failed"}


class LiveRun:
    """Watches sources until they end, or until Ctrl-C or SIGTERM.

    Args:
        sources: As they were given.
        settings: How they are watched.
        json: Where events go as JSON Lines; None for the standard output where that is no terminal.
        quiet: Whether nothing is shown to people.
    """

    def __init__(
        self, sources: Sequence[str], settings: LiveSettings, *, json: str | None, quiet: bool
    ) -> None:
        self._sources = list(sources)
        self._settings = settings
        if json is None and not sys.stdout.isatty() and not quiet:
            json = STANDARD_OUTPUT
        self._json = json
        self._view = not quiet and sys.stderr.isatty()
        self._stop = threading.Event()
        self._broken: BaseException | None = None

    def __call__(self) -> int:
        """Run it.

        Returns:
            The exit code.

        Raises:
            SyncToolError: It cannot begin.
        """
        from synctool.live.addresses import live_addresses
        from synctool.live.watching import watch

        addresses = live_addresses(self._sources)
        if self._settings.fast and not any(a.kind == "file" for a in addresses):
            raise no_effect("--fast", "on what is no file")
        if self._settings.give_up is not None and not any(a.endless for a in addresses):
            raise no_effect("--give-up", "on a source that ends by itself")
        with ExitStack() as stack:
            outlets = self._outlets(stack)
            how = self._watching()
            if self._view:
                outlets.append(self._shown(stack, [a.label for a in addresses]))

            def tell(event: Event) -> None:
                for outlet in outlets:
                    outlet(event)

            with _ending_on_signals(self._stop):
                outcomes = watch(addresses, how, tell, stop=self._stop)
        if self._broken is not None:
            raise self._broken
        return self._exit_code(outcomes)

    def _exit_code(self, outcomes: Sequence[Outcome]) -> int:
        from synctool.cli.common import show_error

        errors = [outcome.error for outcome in outcomes if outcome.error is not None]
        for error in errors:
            show_error(error, debug=False)
        if errors:
            return max(error.exit_code for error in errors)
        if self._stop.is_set():
            return EXIT_OK
        if any(outcome.alarms for outcome in outcomes):
            return EXIT_OUT_OF_TOLERANCE
        return EXIT_OK if any(o.answers for o in outcomes) else EXIT_INCONCLUSIVE

    # ------------------------------------------------------------------ what measures

    def _watching(self) -> Watching:
        from synctool.live.alarms import Limits
        from synctool.live.measuring import Measuring
        from synctool.live.reader import Reading
        from synctool.live.watching import Watching
        from synctool.measure.encode import decoded_colour
        from synctool.measure.tracks import build_detector
        from synctool.networks.load import load_model

        s = self._settings
        limits = None
        if s.alarm is not None:
            try:
                limits = Limits.of(s.alarm)
            except ValueError as error:
                raise UsageError(f"alarm: {error}", remedy="Give a limit above 0.") from error
        model = load_model(
            s.backbone, weights=s.weights, device=s.device, runtime=s.runtime, trust=s.trust
        )
        colour = decoded_colour([model])
        return Watching(
            Measuring(
                model,
                build_detector(s.detector),
                colour=colour,
                max_offset=s.max_offset,
                max_faces=s.max_faces,
            ),
            Reading(
                streams=s.streams,
                colour=colour,
                silent_s=s.stall_timeout,
                give_up_s=s.give_up,
                paced=not s.fast,
                allow_external=s.allow_external,
            ),
            limits=limits,
            for_s=s.for_seconds,
        )

    # ------------------------------------------------------------------ what is told

    def _outlets(self, stack: ExitStack) -> list[Outlet]:
        """Everything that events go to, opened; closed with the stack."""
        s = self._settings
        outlets: list[Outlet] = []
        if self._json is not None:
            outlets.append(self._json_lines(stack, self._json))
        if s.history is not None:
            from synctool.live.history import History

            history = History(s.history, days=s.history_days)
            stack.callback(history.close)
            outlets.append(history.add)
        if s.on_alarm is not None:
            from synctool.live.commands import AlarmCommand

            command = AlarmCommand(s.on_alarm)
            stack.callback(command.close)
            outlets.append(only({"alarm", "recovery"}, command.add))
        if s.webhook is not None:
            from synctool.webhooks import Webhook, read_secret

            secret = None if s.webhook_secret is None else read_secret(s.webhook_secret)
            webhook = Webhook(s.webhook, secret=secret)
            stack.callback(webhook.close)
            outlets.append(NotableEvents(lambda event: webhook.send(event.to_dict())))
        if s.metrics is not None:
            from synctool.live.metrics import Metrics

            metrics = Metrics(*listening_address(s.metrics))
            stack.callback(metrics.close)
            outlets.append(metrics.add)
        return outlets

    def _json_lines(self, stack: ExitStack, target: str) -> Outlet:
        from synctool.background import BackgroundQueue
        from synctool.report.event_lines import EventLines

        lines = stack.enter_context(EventLines(target))

        def write(event: Event) -> None:
            try:
                lines.add(event)
            except (OSError, OutputError) as error:  # nobody reads any more, or the disk is full
                self._broken = error
                self._stop.set()
                raise

        queue: BackgroundQueue[Event] = BackgroundQueue(write, name="JSON Lines", most=10_000)
        stack.callback(queue.close)
        return lambda event: void(queue.put(event))

    def _shown(self, stack: ExitStack, labels: Sequence[str]) -> Outlet:
        from rich.console import Console
        from rich.live import Live

        from synctool.report.live_view import LiveView

        view = LiveView(labels)
        shown = stack.enter_context(
            Live(
                view,
                console=Console(stderr=True),
                refresh_per_second=_REFRESHED_HZ,
                redirect_stdout=False,
            )
        )

        def add(event: Event) -> None:
            line = view.add(event)
            if line is not None:
                shown.console.print(line)

        return add


class NotableEvents:
    """Hands on what somebody should hear of: alarms, recoveries, sources given up, and of each outage the
    first loss and the return.

    Args:
        outlet: Takes them.
    """

    def __init__(self, outlet: Outlet) -> None:
        self._outlet = outlet
        self._out: set[str] = set()

    def __call__(self, event: Event) -> None:
        if event.kind == "lost" and event.source not in self._out:
            self._out.add(event.source)
            self._outlet(event)
        elif event.kind == "part" and event.source in self._out:
            self._out.discard(event.source)
            self._outlet(event)
        elif event.kind in _SENT:
            self._outlet(event)


def only(kinds: set[str], outlet: Outlet) -> Outlet:
    """An outlet that takes some kinds of events only."""
    return lambda event: outlet(event) if event.kind in kinds else None


def void(_: object) -> None:
    """Nothing."""


@contextmanager
def _ending_on_signals(stop: threading.Event) -> Iterator[None]:
    """Let Ctrl-C and SIGTERM end the run in order; a second Ctrl-C ends it at once."""
    before: dict[int, Any] = {}

    def end(number: int, _: object) -> None:
        if stop.is_set() and number == signal.SIGINT:
            raise KeyboardInterrupt
        stop.set()

    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            before[number] = signal.signal(number, end)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
