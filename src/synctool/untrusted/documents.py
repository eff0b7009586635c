"""JSON and TOML documents: limits before parsing, and strict types after it.

The library's own parsers are used for parsing, since journals hold NaN, which they know and others
refuse; msgspec holds what they give to the types that a reader wants.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any, TypeVar

from synctool.untrusted.origin import MalformedError
from synctool.untrusted.regular import MIB, check_size, read_regular
from synctool.untrusted.text import decode_text

_T = TypeVar("_T")

DEEPEST = 64
"""Most levels of lists and tables within each other; the deepest that synctool writes has about ten."""
LARGEST = 64 * MIB
"""Most bytes of a document, unless its reader knows better."""

_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*(?:"|\\?\Z)', re.DOTALL)
_BRACKET = re.compile(rb"[\[{]|[\]}]")


def parse_json(data: bytes | str, *, most: int = LARGEST) -> Any:
    """A JSON document.

    Args:
        data: The document; UTF-8, or what its byte order mark says.
        most: Most bytes (or characters) that it may have.

    Raises:
        MalformedError: It is none, too large, or nested too deeply.
    """
    import json

    check_size(len(data), most)
    text = decode_text(data) if isinstance(data, bytes) else data
    _check_brackets(text)
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise MalformedError(f"it is no JSON: {error}") from error


def parse_toml(data: bytes | str, *, most: int = MIB) -> dict[str, Any]:
    """A TOML document, see :func:`parse_json`.

    Raises:
        MalformedError: It is none, too large, or nested too deeply.
    """
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    check_size(len(data), most)
    try:
        tables = tomllib.loads(decode_text(data) if isinstance(data, bytes) else data)
    except MalformedError:
        raise
    except RecursionError as error:
        raise MalformedError("its values are nested too deeply") from error
    except (ValueError, OverflowError) as error:
        raise MalformedError(str(error)) from error
    check_depth(tables)
    return tables


def read_json(path: Path, *, most: int = LARGEST) -> Any:
    """A JSON document from a regular file.

    Raises:
        OSError: It cannot be read.
        MalformedError: As of :func:`parse_json`, or it is no regular file.
    """
    return parse_json(read_regular(path, most=most), most=most)


def read_toml(path: Path, *, most: int = MIB) -> dict[str, Any]:
    """A TOML document from a regular file.

    Raises:
        OSError: It cannot be read.
        MalformedError: As of :func:`parse_toml`, or it is no regular file.
    """
    return parse_toml(read_regular(path, most=most), most=most)


def typed(value: object, kind: type[_T] | Any) -> _T:
    """Plain data as a type, without turning texts into numbers or the like; what a newer version added
    to tables is passed over.

    Args:
        value: Of :func:`parse_json` or :func:`parse_toml`.
        kind: A dataclass, or any other type that msgspec knows.

    Raises:
        MalformedError: It is of another type; the message says where.
    """
    import msgspec

    try:
        return msgspec.convert(value, kind, str_keys=True)
    except UnicodeError as error:  # half of a surrogate pair in the name of a field
        raise MalformedError("a name in it is no text") from error
    except (msgspec.ValidationError, OverflowError, RecursionError) as error:
        raise MalformedError(str(error)) from error


def check_depth(value: object, deepest: int = DEEPEST) -> None:
    """Refuse data that is nested more deeply than any of synctool's.

    Raises:
        MalformedError: It is.
    """
    level = [value]
    for _ in range(deepest + 1):
        level = [
            part
            for outer in level
            if isinstance(outer, (dict, list))
            for part in (outer.values() if isinstance(outer, dict) else outer)
        ]
        if not level:
            return
    raise MalformedError(f"its values are nested more than {deepest} deep")


def _check_brackets(text: str) -> None:
    """The same for a document that is not parsed yet: the parser calls itself for each level."""
    if text.count("[") + text.count("{") <= DEEPEST:
        return
    level = 0
    for found in _BRACKET.finditer(_STRING.sub(b"", text.encode("utf-8", "surrogatepass"))):
        level += 1 if found.group() in b"[{" else -1
        if level > DEEPEST:
            raise MalformedError(f"its values are nested more than {DEEPEST} deep")
