"""Ogg files that hold several recordings are read to their end."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from films import CLICKS_S, Sound, Video, find_clicks, make_film, read_time_ms
from synctool.media.film import Film
from synctool.media.joined import recordings

PARTS = 3


def one(path, number: int, codec: str, **sound):
    return make_film(path / f"{number}.ogg", video=Video("libvpx"), sounds=[Sound(codec, **sound)])


@pytest.mark.parametrize("codec", ["libopus", "flac"])
def test_recordings_one_after_the_other_are_all_read(tmp_path, codec):
    made = [one(tmp_path, number, codec).read_bytes() for number in range(PARTS)]
    path = tmp_path / "a.ogg"
    path.write_bytes(b"".join(made))
    sizes = np.cumsum([0, *map(len, made)]).tolist()
    assert recordings(str(path)) == list(pairwise(sizes))
    with Film(path) as film:
        shown = [read_time_ms(picture.luma) for picture in film]
        heard = np.array(find_clicks(film.sound.pop(film.sound.end)))
    assert len(shown) == pytest.approx(75 * PARTS, abs=3)
    assert len(heard) == PARTS * len(CLICKS_S)
    for number in range(PARTS):
        third = heard[number * len(CLICKS_S) :][: len(CLICKS_S)]
        # Each recording's audio keeps its relation to its own frames.
        ticks = [t for t in range(75 * number + 5, 75 * number + 70) if shown[t] is not None]
        lead_ms = np.median([40 * t - shown[t] for t in ticks])
        assert 1000 * (third - CLICKS_S) == pytest.approx(lead_ms, abs=45)
    assert film.source.unread_s == 0.0
    assert sum("another recording follows" in text for text in film.warnings) == PARTS - 1


def test_one_recording_is_one_and_damage_does_not_make_more(tmp_path):
    path = one(tmp_path, 0, "libopus")
    data = bytearray(path.read_bytes())
    assert recordings(str(path)) == [(0, len(data))]
    middle = len(data) // 2
    data[middle : middle + 9000] = bytes(9000)
    path.write_bytes(data)
    assert recordings(str(path)) == [(0, len(data))]
