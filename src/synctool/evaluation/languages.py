"""Languages by what their speech is made of, for figures by group of languages."""

from __future__ import annotations

from typing import Literal

Tone = Literal["tonal", "not tonal"]

_TONAL = frozenset(
    # East and Southeast Asia
    "zh cmn yue nan wuu hak cdo gan hsn cjy lzh vi th lo my mya bo dz hmn mww ii za".split()
    # Africa
    + "yo ig ha ak tw fat ee gaa fon bm dyu zu xh st tn ts ve ss nr nso sn ny bem ln lg rw"
    " rn ki kam luo sg nd kr".split()
    # South Asia, Europe, the Americas
    + "pa pnb no nb nn sv sr hr sl lt lv ja nv mix oto zap".split()
)
"""Primary subtags of BCP 47. Tonal in the wide sense of WALS: also those with two tones or a pitch accent,
as Swedish and Japanese. Maddieson, "Tone", in: The World Atlas of Language Structures Online, chapter 13,
2013."""


def tone_of(language: str) -> Tone | None:
    """Whether pitch tells words apart in a language.

    Args:
        language: A BCP 47 tag such as ``en`` or ``zh-TW``; whatever else names no language.

    Returns:
        None where it is not known which language it is.
    """
    primary = language.replace("_", "-").partition("-")[0].strip().lower()
    if not (2 <= len(primary) <= 3 and primary.isascii() and primary.isalpha()):
        return None
    return None if primary in _UNKNOWN else "tonal" if primary in _TONAL else "not tonal"


_UNKNOWN = frozenset(("und", "mul", "mis", "zxx"))
"""ISO 639-2: undetermined, multiple, uncoded, no linguistic content."""
