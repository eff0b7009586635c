"""What converters raise, in words for a person: which graph, which operator, what can be done."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from synctool.errors import ExportError, SyncToolError
from synctool.exporting.formats.quiet import quiet

_OPERATOR = re.compile(
    r"aten[.:]+(\w+(?:\.\w+)?)|prims[.:]+(\w+(?:\.\w+)?)|torch\.ops\.(\w+\.\w+(?:\.\w+)?)"
    r"|op(?:erator)? (?:type )?['\"]([\w:.]+)['\"]"
)
_SHAPES = (
    "GuardOnDataDependentSymNode",
    "Constraints violated",
    "ConstraintViolation",
    "data-dependent",
    "specializ",
    "PendingUnbackedSymbolNotFound",
)
_LONGEST = 200
_ENCODERS = "Export the other graphs with --parts, or choose another backbone."


def refused(error: BaseException, *, part: str, format: str) -> ExportError:
    """What a person is told when a graph cannot be written.

    Args:
        error: What the converter raised.
        part: Name of the graph.
        format: Name of the format.
    """
    chain = list(_chain(error))
    text = "\n".join(str(link) for link in chain)
    names = " ".join(type(link).__name__ for link in chain)
    operator = blocking_operator(text)
    if any(word in text or word in names for word in _SHAPES):
        why = "its shapes are tied to one length or depend on values"
        where = _place(text)
        why += f" ({where})" if where else ""
        remedy = f"A network must take any number of frames to be exported. {_ENCODERS}"
    elif operator:
        why = f"it has no form of the operator {operator}"
        remedy = f"Try another --format. {_ENCODERS}"
    else:
        why = f"{type(chain[-1]).__name__}: {_first_line(chain[-1])}"
        remedy = f"Try another --format. {_ENCODERS}"
    if operator and operator not in why:
        why += f", at the operator {operator}"
    return ExportError(f"the graph {part} cannot be written as {format}: {why}", remedy=remedy)


def blocking_operator(text: str) -> str | None:
    """Name of the operator that a converter's message speaks of, None where it speaks of none."""
    found = _OPERATOR.search(text)
    if found is None:
        return None
    aten, prims, other, quoted = found.groups()
    name = f"aten.{aten}" if aten else f"prims.{prims}" if prims else other or quoted
    return name.removesuffix(".default")


@contextmanager
def explained(*, part: str, format: str) -> Iterator[None]:
    """Run a converter silently, and turn what it raises into an ``ExportError``.

    Errors of this package, of the file system and of memory go through as they are.

    Args:
        part: Name of the graph.
        format: Name of the format.

    Raises:
        ExportError: The converter failed.
    """
    try:
        with quiet():
            yield
    except (SyncToolError, OSError, MemoryError):
        raise
    except Exception as error:  # a converter may raise anything
        raise refused(error, part=part, format=format) from error


def _chain(error: BaseException) -> Iterator[BaseException]:
    """An error, what it was raised from, and so on."""
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        yield link
        link = link.__cause__ or link.__context__


def _place(text: str) -> str | None:
    """The line of a network's own code that a message points to."""
    lines = re.findall(r'File "([^"]+)", line (\d+)', text)
    lines += re.findall(r"\(?([\w/.\-]+\.py):(\d+)", text)
    for path, line in lines:
        if "synctool" in path or "transformers/models" in path or "pytorchvideo" in path:
            return f"{path.rsplit('/', 1)[-1]}, line {line}"
    return None


def _first_line(error: BaseException) -> str:
    line = next((row.strip() for row in str(error).splitlines() if row.strip()), "no reason given")
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}..."
