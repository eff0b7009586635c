"""Why a span has its verdict, in sentences with the figures that carry it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from synctool.authenticity.evidence import Evidence
from synctool.scoring.verdict import in_words
from synctool.types import FRAME_MS, Authentic, AuthenticitySpan

USUAL_TOGETHER = 0.67
"""Three quarters of the people of the calibration have their lips move with chin and cheeks more than
this."""
STEADY = 0.8
_STILL, _AGAIN = 0.3, 0.15


def reasons_of(
    verdict: Authentic, evidence: Evidence, offset_ms: float, *, odd_lips: bool = False
) -> tuple[str, ...]:
    """What speaks for a verdict, the weightiest first; at least one sentence.

    Args:
        verdict: The verdict.
        evidence: The figures.
        offset_ms: Best offset of the audio.
        odd_lips: Whether the lips move unlike those of other people, though they match the audio.
    """
    if verdict == "natural":
        return tuple(_matching(evidence, offset_ms))
    if verdict == "offset":
        told = (
            f"The audio is {in_words(offset_ms)}: viewers hardly notice only what lies within "
            "-125 to +45 ms."
        )
        return (*_matching(evidence, offset_ms), told)
    if verdict == "dubbed":
        return tuple(_foreign(evidence))
    if verdict == "reanimated":
        return tuple(_lips(evidence)) or (
            "The lips move unlike those of other people, all in all.",
        )
    if odd_lips:
        match = tuple(_matching(evidence, offset_ms))
        return (*match, "But they do not move as those of other people do.", *_lips(evidence))
    return tuple(_doubtful(evidence))


def whole_reasons(verdict: Authentic, spans: Sequence[AuthenticitySpan]) -> tuple[str, ...]:
    """The reasons for the verdict on a video: how much of it has that verdict, and why."""
    if not spans:
        return ("No face was followed long enough.",)
    own = [s for s in spans if s.verdict == verdict]
    told = sum(s.speech_s for s in spans)
    if not own or not told:
        return max(spans, key=lambda s: s.speech_s).reasons
    share = 100 * sum(s.speech_s for s in own) / told
    longest = max(own, key=lambda s: s.speech_s)
    if len(spans) == 1:
        return longest.reasons
    seconds = sum(s.speech_s for s in own)
    return (
        f"The verdict holds for {seconds:.1f} of {told:.1f} s of speech ({share:.0f} %); its longest span:",
        *longest.reasons,
    )


def _matching(evidence: Evidence, offset_ms: float) -> Iterator[str]:
    yield (
        f"The lips match the audio at one offset ({in_words(offset_ms)}) in {100 * evidence.steady:.0f} % of "
        "the speech, second by second."
    )


def _foreign(evidence: Evidence) -> Iterator[str]:
    if evidence.steady < STEADY:
        away = evidence.jitter * FRAME_MS
        yield (
            "No one offset suits these lips: the best one of every second lies "
            f"{away:.0f} ms from that of the whole on average, and only {100 * evidence.steady:.0f} % agree."
        )
    else:
        yield "The best offset stands out less from the others than that of people's own audio does."
    if evidence.waking < 0.1:
        yield "The lips move no more in speech than in silence: rather a voice-over than a dub."
    if evidence.still > _STILL:
        yield f"The lips are still in {100 * evidence.still:.0f} % of the speech."


def _lips(evidence: Evidence) -> Iterator[str]:
    if evidence.still > _STILL:
        yield (
            f"The lips are still in {100 * evidence.still:.0f} % of the speech, while chin and cheeks move."
        )
    if evidence.again > _AGAIN:
        yield f"The lips repeat, look for look, in {100 * evidence.again:.0f} % of the speech."
    if evidence.together < USUAL_TOGETHER:
        yield (
            f"The lips move apart from chin and cheeks (correlation {evidence.together:.2f}; of most people "
            f"above {USUAL_TOGETHER:.2f})."
        )
    if evidence.unusual > 0.8:
        much = "little" if evidence.lively < 0 else "much"
        yield f"The lips move unusually {much} for what chin and cheeks do."


def _doubtful(evidence: Evidence) -> Iterator[str]:
    yield (
        "The evidence is between the verdicts: the offset agrees with that of the whole in "
        f"{100 * evidence.steady:.0f} % of the speech, in {evidence.speech_s:.1f} s of it."
    )
