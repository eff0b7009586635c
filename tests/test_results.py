"""Results go through JSON and come back."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synctool.comparison.run import Comparison
from synctool.evaluation.metric_specs import Metric
from synctool.types import DetectResult, FrameSeries, MediaTrack, Segment, Source, Track, Trial

numbers = st.floats(-1e6, 1e6).map(lambda x: round(x, 2))
maybe = st.none() | numbers
texts = st.text(max_size=8)


def tuples(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.lists(strategy, max_size=3).map(tuple)


segments = st.builds(Segment, numbers, numbers, numbers, numbers)
faces = st.builds(
    Track,
    id=st.integers(0, 9),
    start_s=numbers,
    end_s=numbers,
    box_px=st.tuples(numbers, numbers, numbers, numbers),
    speaking=st.booleans(),
    offset_frames=maybe,
    confidence=numbers,
)
media_tracks = st.builds(
    MediaTrack,
    kind=st.sampled_from(["video", "audio"]),
    number=st.integers(0, 3),
    codec=texts,
    measured=st.booleans(),
    dispositions=tuples(texts),
)
sources = st.builds(
    Source,
    *[numbers] * 4,
    *[st.integers(1, 4096)] * 3,
    warnings=tuples(texts),
    tracks=tuples(media_tracks),
)
series = st.builds(FrameSeries, tuples(numbers), tuples(maybe), tuples(maybe))
results = st.builds(
    DetectResult,
    input=texts,
    backbone=texts,
    weights=texts,
    synctool=texts,
    source=sources,
    offset_frames=maybe,
    confidence=numbers,
    verdict=st.sampled_from(["in sync", "detectable", "unacceptable", "inconclusive"]),
    reason=st.none() | texts,
    coverage=numbers,
    drift_ms_per_min=maybe,
    syncnet_confidence=maybe,
    min_distance=maybe,
    segments=tuples(segments),
    tracks=tuples(faces),
    frames=series,
    timing_s=st.dictionaries(texts, numbers, max_size=3),
    max_offset=st.integers(1, 125),
    verdict_coverage=numbers,
    audio_belongs=maybe,
    drift_interval_ms_per_min=st.none() | st.tuples(numbers, numbers),
)
trials = st.builds(
    Trial,
    film=texts,
    backbone=texts,
    truth_frames=maybe,
    offset_frames=maybe,
    segments=tuples(segments),
    frames=series,
    curve=tuples(maybe),
    windows=st.dictionaries(
        st.integers(1, 15), st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=2
    ),
    error=st.none() | texts,
)
metrics = st.builds(
    Metric,
    name=texts,
    value=numbers | st.just(math.nan),
    low=numbers | st.just(math.nan),
    high=numbers,
    drawn=texts,
    units=st.integers(0, 9),
    count=st.integers(0, 9),
    backbone=texts,
    group=texts,
    higher_is_better=st.none() | st.booleans(),
)
comparisons = st.builds(Comparison, tuples(trials), tuples(metrics))


def grown(data: Any) -> Any:
    """The same as a newer version might write it, with more keys in every object of fixed keys."""
    if isinstance(data, list):
        return [grown(entry) for entry in data]
    if isinstance(data, dict):
        whole = {
            key: value if key in ("timing_s", "windows") else grown(value)
            for key, value in data.items()
        }
        return {**whole, "a_newer_key": [1]}
    return data


@settings(deadline=None, max_examples=50)
@given(results | comparisons)
def test_results_go_through_json_and_come_back(result: DetectResult | Comparison) -> None:
    data = json.loads(json.dumps(result.to_dict()))
    kind = type(result)
    assert kind.from_dict(data) == result
    assert kind.from_dict(grown(data)) == result


@pytest.mark.parametrize(
    ("kind", "schema"),
    [
        (DetectResult, "synctool.detect/1"),
        (Comparison, "synctool.compare/1"),
        (Trial, "synctool.trial/1"),
    ],
)
def test_what_is_no_result_is_refused(kind: Any, schema: str) -> None:
    with pytest.raises(ValueError, match=f"no {schema}"):
        kind.from_dict({"schema": "synctool.detect/2"})
    with pytest.raises(ValueError, match=f"{kind.__name__} lacks"):
        kind.from_dict({"schema": schema})


def test_an_error_needs_both_sides() -> None:
    assert Trial("a", "b", truth_frames=4.5, offset_frames=4.0).error_frames == -0.5
    assert Trial("a", "b", truth_frames=1.0).error_frames is None
    assert Trial("a", "b", offset_frames=1.0).error_frames is None
