"""What the losses of a step may look at: embeddings, score volumes, and the true offsets."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor, nn

from synctool.data.windows import WindowBatch
from synctool.errors import UsageError
from synctool.models.correlation import correlate
from synctool.models.offset_classifier import OffsetClassifier


@dataclass(frozen=True)
class Evidence:
    """What the losses of one step may look at. K: ``max_offset``; row K of a volume is offset 0.

    Attributes:
        video_features: ``[B, D, T]``, unit length.
        audio_features: ``[B, D, T_audio]``, unit length.
        volumes: Logits ``[B, 2K+1, T]`` by name, ``-inf`` where there is no sound: ``plain``
            (cosines times ``scale``), ``head`` (sharpened by the head), and ``local`` (cosines of
            the local embeddings times ``local_scale``) if the model has a local stage. Each is
            computed when it is first asked for.
        offset_frames: ``[B]`` true offsets, fractional, audio ahead positive.
        max_offset: K.
        audio_lead: Sound frame that belongs to video frame 0.
        scale: Inverse temperature of ``plain``, a scalar.
        teacher: The teacher's logits ``[B, 2K+1, T]``, None without a teacher.
        local_scale: Inverse temperature of ``local``, None without a local stage.
        local_video: Local embeddings ``[B, D, T]`` of the pictures, unit length; None without a
            local stage.
        targets: ``[B, N, T]``, further values to be told from the pictures, NaN where they are not
            known; None without any.
    """

    video_features: Tensor
    audio_features: Tensor
    volumes: Mapping[str, Tensor]
    offset_frames: Tensor
    max_offset: int
    audio_lead: int
    scale: Tensor
    teacher: Tensor | None = None
    local_scale: Tensor | None = None
    local_video: Tensor | None = None
    targets: Tensor | None = None

    def volume(self, name: str) -> Tensor:
        """The volume of a name.

        Raises:
            UsageError: The model has no such volume.
        """
        if name not in self.volumes:
            raise UsageError(
                f"the network gives no volume {name!r} to compute a loss on",
                remedy=f"It gives {', '.join(self.volumes)}.",
            )
        return self.volumes[name]

    def cosines(self, name: str) -> Tensor:
        """Cosines ``[B, 2K+1, T]`` behind the volume ``plain`` or ``local``, ``-inf`` without sound.

        Raises:
            UsageError: The model has no such volume.
        """
        volume = self.volume(name).float()
        missing = torch.isneginf(volume)
        # The gradient of -inf divided by the scale would not be a number.
        cosines = volume.masked_fill(missing, 0.0)
        cosines = cosines / (self.local_scale if name == "local" else self.scale)
        return cosines.masked_fill(missing, float("-inf"))


class LazyVolumes(Mapping[str, Tensor]):
    """Volumes by name, each computed once, when it is first asked for.

    Args:
        makers: Functions by name.
    """

    def __init__(self, makers: Mapping[str, Callable[[], Tensor]]) -> None:
        self._makers = dict(makers)
        self._made: dict[str, Tensor] = {}

    def __getitem__(self, name: str) -> Tensor:
        if name not in self._made:
            self._made[name] = self._makers[name]()
        return self._made[name]

    def __contains__(self, name: object) -> bool:
        return name in self._makers

    def __iter__(self) -> Iterator[str]:
        return iter(self._makers)

    def __len__(self) -> int:
        return len(self._makers)


def observe(
    model: OffsetClassifier,
    batch: WindowBatch,
    *,
    max_offset: int,
    teacher: nn.Module | None = None,
) -> Evidence:
    """What a network makes of a batch.

    Args:
        model: The network, in training mode.
        batch: Windows.
        max_offset: K.
        teacher: Another network with the same inputs, whose logits are to be learnt.
    """
    video = batch.video.float() / 255.0
    seen_locally, seen = model.encode_video_both(video)
    heard_locally, heard = model.encode_audio_both(batch.audio)
    head, lead, scale = model.head, batch.audio_lead, model.head.log_scale.exp()

    @cache
    def raw() -> tuple[Tensor, Tensor]:
        return correlate(heard, seen, max_offset=max_offset + head.margin, audio_lead=lead)

    def plain() -> Tensor:
        volume, inside = raw()
        cut = slice(head.margin, volume.shape[1] - head.margin)
        return (volume[:, cut] * scale).masked_fill(~inside[cut], float("-inf"))

    def sharpened() -> Tensor:
        volume, inside = raw()
        return head.refine(volume, inside.expand_as(volume))

    makers: dict[str, Callable[[], Tensor]] = {"plain": plain, "head": sharpened}
    local_scale = None
    if seen_locally is not None and heard_locally is not None:
        local_scale = model.local_scale.exp()

        def local() -> Tensor:
            volume, inside = correlate(
                heard_locally, seen_locally, max_offset=max_offset, audio_lead=lead
            )
            return (volume * local_scale).masked_fill(~inside, float("-inf"))

        makers["local"] = local
    learnt = None
    if teacher is not None:
        with torch.no_grad():
            learnt = teacher(batch.audio, video, max_offset=max_offset, audio_lead=lead).logits
    return Evidence(
        video_features=seen,
        audio_features=heard,
        volumes=LazyVolumes(makers),
        offset_frames=batch.offset_frames,
        max_offset=max_offset,
        audio_lead=lead,
        scale=scale,
        teacher=learnt,
        local_scale=local_scale,
        local_video=seen_locally,
        targets=batch.targets,
    )
