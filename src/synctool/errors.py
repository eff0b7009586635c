"""The tree of errors a user may meet: each has a cause, a remedy and an exit code.

The library raises these and nothing else for anything that a user can cause or mend; the command
line catches them once, prints the cause and the remedy, and ends with the exit code.
"""

from __future__ import annotations

EXIT_OK = 0
EXIT_UNEXPECTED = 1
EXIT_USAGE = 2
EXIT_INCONCLUSIVE = 3
EXIT_OUT_OF_TOLERANCE = 4
EXIT_MISSING = 5


class SyncToolError(Exception):
    """Base of all errors with a message for a person.

    Args:
        cause: What went wrong, one sentence without a closing full stop.
        remedy: What the user can do about it, or None where nothing can be done.
    """

    exit_code: int = EXIT_UNEXPECTED

    def __init__(self, cause: str, *, remedy: str | None = None) -> None:
        super().__init__(cause)
        self.cause = cause
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.cause}. {self.remedy}" if self.remedy else self.cause


def described(error: BaseException) -> str:
    """Any exception as one line for a person, also one whose message cannot be read."""
    if isinstance(error, SyncToolError):
        return str(error)
    try:
        message = " ".join(str(error).split())
    except Exception:
        message = "(its message cannot be read)"
    return f"{type(error).__name__}: {message}" if message else type(error).__name__


class UsageError(SyncToolError):
    """A wrong name, option or combination of them."""

    exit_code = EXIT_USAGE


def no_effect(flag: str, why: str, *, add: str = "") -> UsageError:
    """An option that was given and would change nothing.

    Args:
        flag: The option.
        why: What goes on the sentence, such as "without --html" or "with --dry-run".
        add: What would give it an effect, such as "--html FILE"; empty where nothing would.
    """
    remedy = f"Add {add}, or leave {flag} out." if add else f"Leave {flag} out."
    return UsageError(f"{flag} has no effect {why}", remedy=remedy)


class MissingError(SyncToolError):
    """Something that is needed is not there: a file, weights, an optional package."""

    exit_code = EXIT_MISSING


class TransientError(MissingError):
    """Something could not be read this time, and may well be the next time: a store, a network disk."""

    exit_code = EXIT_MISSING


class MediaError(SyncToolError):
    """A video that cannot be read, or that lacks a stream that the job needs."""

    exit_code = EXIT_UNEXPECTED


class InconclusiveError(SyncToolError):
    """A video whose offset would have to be known, and is not."""

    exit_code = EXIT_INCONCLUSIVE


class OutputError(SyncToolError):
    """A result that cannot be written."""

    exit_code = EXIT_UNEXPECTED


class OutputNameError(OutputError):
    """A name that a result cannot have: an ending of no format, a file's where a folder is wanted."""

    exit_code = EXIT_USAGE


class WeightsError(SyncToolError):
    """Weights that do not fit the network, or a file that is not weights at all."""

    exit_code = EXIT_UNEXPECTED


class UntrustedError(UsageError):
    """A model that could run code, and that the user has not trusted."""


class PluginError(SyncToolError):
    """A plugin that cannot be loaded, returns something else than it must, or takes a taken name."""

    exit_code = EXIT_UNEXPECTED


class TrainingError(SyncToolError):
    """A training run that cannot go on."""

    exit_code = EXIT_UNEXPECTED


class ExportError(SyncToolError):
    """A network that cannot be written in a format, or that answers otherwise there."""

    exit_code = EXIT_UNEXPECTED
