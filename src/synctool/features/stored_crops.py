"""What kind of input stored crops can give a network."""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

from synctool.errors import UsageError
from synctool.plugins.specs import VideoInput

_MOUTH_ROOM = (72, 96)
"""A network's mouth crop of so many pixels is cut out of a stored one of so many: the default
network's 72 of 96 leave room to move, turn and scale it."""
_SMALLEST_PX = 32


class StoredCrops(Protocol):
    """What kind of crops a sample holds: ``SampleInfo``."""

    @property
    def crop(self) -> str:
        """``mouth`` or ``face``."""
        ...

    @property
    def size_px(self) -> int:
        """Side."""
        ...

    @property
    def colour(self) -> str:
        """``gray`` or ``rgb``."""
        ...


def fitted(stored: StoredCrops, wanted: VideoInput, *, any_crop: bool) -> VideoInput:
    """What a network is really given when it is trained on stored crops.

    Face crops are resized. Mouth crops have one scale, so a smaller one shows less, and what is stored
    round the network's crop is room for the augmentation.

    Args:
        stored: Kind, size and colour of the stored crops.
        wanted: The network's own input contract.
        any_crop: Whether the network can be trained on other crops.

    Returns:
        The contract where the crops can meet it. Else, with ``any_crop``, what comes nearest: the
        stored kind of crop, grey in as many channels as the network has where no colour is stored, and
        a size that the stored crops can give.

    Raises:
        UsageError: The crops are not what the network takes, or too small.
    """
    lacks_colour = stored.colour == "gray" and wanted.colour != "gray"
    if stored.crop == wanted.crop and stored.size_px >= wanted.size_px and not lacks_colour:
        return wanted
    size_px = stored.size_px
    if stored.crop == "mouth":
        inner, outer = _MOUTH_ROOM
        size_px = max(stored.size_px * inner // outer, min(_SMALLEST_PX, stored.size_px))
    size_px = min(wanted.size_px, size_px)
    if not any_crop or size_px < min(_SMALLEST_PX, wanted.size_px):
        raise _unfit(stored, wanted)
    found = replace(wanted, crop=stored.crop, size_px=size_px)
    return _in_grey(found) if lacks_colour else found


def _in_grey(wanted: VideoInput) -> VideoInput:
    """The same input with the grey frame in each of its channels."""
    mean, std = (
        values * wanted.image_channels if len(values) == 1 else values
        for values in (wanted.mean, wanted.std)
    )
    return replace(wanted, colour="gray", mean=mean, std=std)


def _unfit(stored: StoredCrops, wanted: VideoInput) -> UsageError:
    words = {"gray": "grey"}
    size_px = wanted.size_px
    if wanted.crop == "mouth":
        inner, outer = _MOUTH_ROOM
        size_px = -(-wanted.size_px * outer // inner)
    colour = "gray" if wanted.colour == "gray" else "rgb"
    return UsageError(
        f"the processed videos are {words.get(stored.colour, 'colour')} {stored.crop} crops of "
        f"{stored.size_px} px, and the network takes {words.get(wanted.colour, 'colour')} "
        f"{wanted.crop} crops of {wanted.size_px} px",
        remedy="Make them anew: synctool preprocess VIDEOS FOLDER "
        f"--crop {wanted.crop} --size {size_px} --colour {colour}",
    )
