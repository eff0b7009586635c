"""Making clean training windows look and sound like the world: camera, codec, light, room, noise.

Each augmentation has a name, and a row in ``AUGMENTATIONS`` with its usual probability. A run changes
them by name, as a text or as a table::

    settings = parse_augment("codec=0.2,babble=off,noise=0.5:1.5")
    settings = parse_augment({"codec": 0.2, "babble": False, "noise": {"strength": 1.5}})
    settings = parse_augment("picture=off")  # all of one kind
    WindowSettings(..., strength=1.0, augment=settings)

``strength`` of the windows is the overall strength of a run, 0 to 1, which scales probabilities and
sizes alike and is ramped up; ``settings.as_dict()`` goes into the file of facts of a run, and
``parse_augment`` reads it back. A mistake is a ``UsageError`` that names what was probably meant.

What is drawn for one augmentation does not depend on which others are switched on: a run without one
differs from a run with it in that one only.
"""

from __future__ import annotations

from synctool.data.augmentation.augmented_audio import augment_audio, with_gain
from synctool.data.augmentation.augmented_images import (
    augment_images,
    centre_crop,
    fit_crops,
    with_room,
)
from synctool.data.augmentation.bands import augment_bands, augment_features
from synctool.data.augmentation.random_choices import Dice
from synctool.data.augmentation.table import (
    AUGMENTATIONS,
    GROUPS,
    Augmentation,
    AugmentSettings,
    Dose,
    parse_augment,
)

__all__ = [
    "AUGMENTATIONS",
    "GROUPS",
    "AugmentSettings",
    "Augmentation",
    "Dice",
    "Dose",
    "augment_audio",
    "augment_bands",
    "augment_features",
    "augment_images",
    "centre_crop",
    "fit_crops",
    "parse_augment",
    "with_gain",
    "with_room",
]
