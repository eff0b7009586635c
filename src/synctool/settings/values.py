"""Values as people write them: ``NAME=VALUE``, several with commas, numbers as text."""

from __future__ import annotations


def value_of(text: str) -> int | float | bool | str:
    """A number where the text is one, true and false, and else the text itself."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return {"true": True, "false": False}.get(text.lower(), text)


def name_and_value(text: str) -> tuple[str, str | None]:
    """``NAME=VALUE`` as the two, without spaces around; the value is None where there is no ``=``.

    Only the first ``=`` separates, so that a value may have some of its own.
    """
    name, equals, value = (part.strip() for part in text.partition("="))
    return name, value if equals else None


def listed(text: str, separator: str = ",") -> list[str]:
    """The parts of a text, without spaces around and without empty ones."""
    return [part for part in (p.strip() for p in text.split(separator)) if part]
