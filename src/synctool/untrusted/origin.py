"""Where content comes from, and how a mistake in it is told."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from synctool.errors import MissingError, SyncToolError


class MalformedError(ValueError):
    """Content that cannot be right: says what and where in it, but not in which file."""


@dataclass(frozen=True)
class Origin:
    """A file as messages name it.

    Attributes:
        name: The file as the user knows it.
        remedy: What to do where it is wrong.
        words: What to say before the reason: ``NAME WORDS: REASON``.
        error: Kind of error to raise.
    """

    name: str
    remedy: str
    words: str = "is damaged"
    error: type[SyncToolError] = SyncToolError

    def wrong(self, reason: object) -> SyncToolError:
        """The error that says what is wrong with the file."""
        return self.error(f"{self.name} {self.words}: {reason}", remedy=self.remedy)

    @contextmanager
    def checked(self) -> Iterator[None]:
        """Turn what the checks of this package raise into the error of this file."""
        try:
            yield
        except MalformedError as error:
            raise self.wrong(error) from error

    @contextmanager
    def reading(self, kind: str, path: object, *, missing: str) -> Iterator[None]:
        """Turn failures of reading the file into errors, and what is wrong in it as ``checked`` does.

        Args:
            kind: What the file is: ``no such KIND``.
            path: Where it is.
            missing: What to do where there is none.
        """
        try:
            with self.checked():
                yield
        except FileNotFoundError as error:
            raise MissingError(f"no such {kind}: {path}", remedy=missing) from error
        except IsADirectoryError as error:
            raise MissingError(
                f"cannot read {path}: it is a folder", remedy="Give the name of a file in it."
            ) from error
        except OSError as error:
            raise MissingError(
                f"cannot read {path}: {error.strerror or error}",
                remedy="Check its permissions.",
            ) from error
