"""Values as people write them: ``NAME=VALUE``, several with commas, numbers as text."""

from __future__ import annotations

from math import isfinite, nan

from synctool.errors import UsageError


def value_of(text: str) -> int | float | bool | str:
    """A number where the text is one, true and false, and else the text itself."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return {"true": True, "false": False}.get(text.lower(), text)


def number_of(flag: str, text: str | None) -> float | None:
    """The number that a flag gives, None where it was not given.

    Raises:
        UsageError: The text is none.
    """
    if text is None:
        return None
    try:
        number = float(text)
    except ValueError:
        number = nan
    if not isfinite(number):
        raise UsageError(f"{flag}: {text!r} is not a number", remedy="Give a number, such as 80.")
    return number


def name_and_value(text: str) -> tuple[str, str | None]:
    """``NAME=VALUE`` as the two, without spaces around; the value is None where there is no ``=``.

    Only the first ``=`` separates, so that a value may have some of its own.
    """
    name, equals, value = (part.strip() for part in text.partition("="))
    return name, value if equals else None


def listed(text: str, separator: str = ",") -> list[str]:
    """The parts of a text, without spaces around and without empty ones."""
    return [part for part in (p.strip() for p in text.split(separator)) if part]
