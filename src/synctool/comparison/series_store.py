"""Series per frame on the disk, so that many trials can be held: without these a trial is a few kB."""

from __future__ import annotations

import json
import logging
import tempfile
import zlib
from collections import OrderedDict
from dataclasses import replace
from typing import Any

from synctool.types import FrameSeries, Trial

_RECENT = 16
"""So many series stay in memory: models of a video are compared with each other in turns."""
_log = logging.getLogger(__name__)


class SeriesStore:
    """A temporary file of series, which the operating system removes with the process, however that ends."""

    def __init__(self) -> None:
        self._file: Any = None
        self._end = 0
        self._recent: OrderedDict[int, FrameSeries] = OrderedDict()
        self._failed = False

    def stored(self, trial: Trial) -> Trial:
        """The same trial, whose series are read from the disk whenever they are asked for.

        Where nothing can be written they stay in memory.
        """
        if self._failed or not trial.frames.t_s:
            return trial
        text = json.dumps(list(vars(trial.frames).values()), default=lambda number: number.item())
        data = zlib.compress(text.encode("ascii"), 1)
        begin = self._end
        try:
            if self._file is None:
                self._file = tempfile.TemporaryFile(prefix="synctool-")
            self._file.seek(begin)
            self._file.write(data)
            self._file.flush()
        except OSError as error:
            self._failed = True
            _log.warning(
                "offsets per frame stay in memory, as no temporary file can be written: %s", error
            )
            return trial
        self._end += len(data)
        return replace(trial, frames=StoredSeries(self, begin, len(data)))

    def read(self, begin: int, length: int) -> FrameSeries:
        """Series that were stored.

        Args:
            begin: Their place in the file.
            length: Their bytes there.
        """
        if begin not in self._recent:
            self._file.seek(begin)
            series = json.loads(zlib.decompress(self._file.read(length)))
            self._recent[begin] = FrameSeries(*map(tuple, series))
            if len(self._recent) > _RECENT:
                self._recent.popitem(last=False)
        self._recent.move_to_end(begin)
        return self._recent[begin]


class StoredSeries(FrameSeries):
    """Series that lie on the disk.

    Args:
        store: Where.
        begin: Their place in it.
        length: Their bytes there.
    """

    def __init__(self, store: SeriesStore, begin: int, length: int) -> None:
        vars(self)["_place"] = (store, begin, length)

    @property
    def t_s(self) -> tuple[float, ...]:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self._series.t_s

    @property
    def offset_frames(  # pyright: ignore[reportIncompatibleVariableOverride]
        self,
    ) -> tuple[float | None, ...]:
        return self._series.offset_frames

    @property
    def confidence(  # pyright: ignore[reportIncompatibleVariableOverride]
        self,
    ) -> tuple[float | None, ...]:
        return self._series.confidence

    @property
    def _series(self) -> FrameSeries:
        store, begin, length = vars(self)["_place"]
        return store.read(begin, length)
