"""Settings that several commands have, each written once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Literal

from synctool.settings.base import Settings
from synctool.settings.fields import setting
from synctool.types import DEFAULT_MAX_OFFSET, WIDEST_MAX_OFFSET, StreamSelection

DEFAULT_BACKBONE = "fcn-cls"
DEFAULT_DETECTOR = "centerface"
STALL_S = 300.0
"""Longest wait for one frame, and for the opening of a video, unless another is asked for."""
_SEED_LIMIT = 2**32 - 1

Device = Literal["auto", "cpu", "cuda", "mps"]
"""Where a model runs."""
MODEL = "Model"
VIDEO = "Video"
"""Headings in ``--help``."""

backbone = partial(
    setting,
    default=DEFAULT_BACKBONE,
    help="Model, as listed by synctool backbones",
    short="-b",
    group=MODEL,
)
weights = partial(
    setting,
    default=None,
    help="Weight file, or exported model, in place of the published weights",
    group=MODEL,
)
device = partial(
    setting, default="auto", help="Where the model runs", metavar="DEVICE", group=MODEL
)
runtime = partial(
    setting,
    default="auto",
    help="What runs the model: torch, an export format, or auto for the faster",
    group=MODEL,
)
trust = partial(
    setting,
    default=(),
    help="Trust the exported model with this checksum, which may run code, from now on",
    metavar="SHA256",
    group=MODEL,
    flag_only=True,  # a settings file that comes with somebody's data must not let it run code
    needs=("weights",),
)
max_offset = partial(
    setting,
    default=DEFAULT_MAX_OFFSET,
    help="Largest offset searched, in frames of 40 ms",
    minimum=DEFAULT_MAX_OFFSET,
    maximum=WIDEST_MAX_OFFSET,
    short="-k",
)
detector = partial(
    setting,
    default=DEFAULT_DETECTOR,
    help="Face detector, as listed by synctool detectors",
    group=VIDEO,
)
max_faces = partial(
    setting, default=4, help="Maximum number of faces tracked at a time", minimum=1, group=VIDEO
)
allow_external = partial(
    setting,
    default=False,
    help="Let playlists name local files outside their own folder",
    group=VIDEO,
)
seed = partial(
    setting, default=0, help="Seed of all random choices", minimum=0, maximum=_SEED_LIMIT
)
split = partial(
    setting,
    default=None,
    help="split.json of synctool pairs",
    unset="that in the data folder",
    metavar="FILE",
)
constants = partial(
    setting,
    default=None,
    help="Systematic offsets in frames by sample, speaker or source, as a JSON object",
    metavar="FILE",
)
limit = partial(
    setting, default=0, help="Maximum clips per source of --dataset, 0 for all", minimum=0
)
jobs = partial(setting, default=1, help="Processes, 0 for one per core", minimum=0, short="-j")


@dataclass(frozen=True, kw_only=True)
class VideoSettings(Settings):
    """How videos are read."""

    video_track: int | None = setting(
        None, "Video track, from 0", minimum=0, unset="the one that players choose", group=VIDEO
    )
    audio_track: int | None = setting(
        None, "Audio track, from 0", minimum=0, unset="the one that players choose", group=VIDEO
    )
    channel: str = setting(
        "auto",
        "Audio channel: a number from 0, a name such as FC, mix, or auto to choose by speech",
        group=VIDEO,
    )
    allow_external: bool = allow_external()
    stall_timeout: float = setting(
        STALL_S,
        "Give up on a video after this many seconds without a frame, 0 to wait forever",
        minimum=0,
        group=VIDEO,
    )

    @property
    def streams(self) -> StreamSelection:
        """Which streams of a video are read."""
        return StreamSelection(self.video_track, self.audio_track, self.channel)
