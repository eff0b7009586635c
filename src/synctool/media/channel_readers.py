"""Every channel of an audio track for itself, on one timeline: what tells microphones apart."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import av

from synctool.media.audio_track import AudioReader, AudioTrack

MOST_CHANNELS = 16
"""Of more only the first are read apart."""


class ChannelReaders:
    """An ``AudioReader`` for what is measured, and one for each channel; they are fed the same frames.

    Args:
        own: Reads what is measured.
        count: Number of channels.
        warn: Told nothing that ``own`` does not tell as well.
    """

    def __init__(self, own: AudioReader, count: int, warn: Callable[[str], None]) -> None:
        self.tracks: Sequence[AudioTrack] = [AudioTrack() for _ in range(min(count, MOST_CHANNELS))]
        each = [AudioReader(track, warn, channel=i) for i, track in enumerate(self.tracks)]
        self._readers = [own, *each]

    def add(self, frame: av.AudioFrame, time_s: float) -> None:
        """See ``AudioReader.add``."""
        for reader in self._readers:
            reader.add(frame, time_s)

    def finish(self) -> None:
        """See ``AudioReader.finish``."""
        for reader in self._readers:
            reader.finish()
