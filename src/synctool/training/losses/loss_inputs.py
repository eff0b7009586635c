"""What the losses of a step may look at: embeddings, score volumes, and the true offsets."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from synctool.data.windows import WindowBatch
from synctool.errors import UsageError
from synctool.features.video_input import prepared
from synctool.models.correlation import correlate
from synctool.models.heads import VolumeHead
from synctool.models.offset_classifier import OffsetClassifier
from synctool.models.protocol import SyncModel
from synctool.training.losses.pairing import belonging, of_clip_before


@dataclass(frozen=True)
class Evidence:
    """What the losses of one step may look at. K: ``max_offset``; row K of a volume is offset 0.

    Attributes:
        video_features: ``[B, D, T]``, unit length.
        audio_features: ``[B, D, T_audio]``, unit length.
        volumes: Logits ``[B, 2K+1, T]`` by name, ``-inf`` where there is no audio: ``plain``
            (cosines times ``scale``), ``head`` (sharpened by the head), and ``local`` (cosines of
            the local embeddings times ``local_scale``) if the model has a local stage. A network
            that scores in a way of its own gives the same for ``plain`` and ``head``. ``foreign`` is
            ``head`` of every clip's frames with the audio of the clip before. Each is computed when it is
            first asked for.
        offset_frames: ``[B]`` true offsets, fractional, audio ahead positive.
        max_offset: K.
        audio_lead: Audio frame that belongs to video frame 0.
        scale: Inverse temperature of ``plain``, a scalar; 1 where the network scores by itself.
        teacher: The teacher's logits ``[B, 2K+1, T]``, None without a teacher.
        local_scale: Inverse temperature of ``local``, None without a local stage.
        local_video: Local embeddings ``[B, D, T]`` of the frames, unit length; None without a
            local stage.
        targets: ``[B, N, T]``, auxiliary targets of the frames, NaN where they are not
            known; None without any.
        units: int ``[B, T]``, the speech unit of each frame, -1 where it is not known; None without any.
        own_score: Whether the network scores in a way of its own, so that ``plain`` are no cosines.
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
    own_score: bool = False
    units: Tensor | None = None

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

    def scale_of(self, name: str) -> Tensor:
        """The factor between the cosines and the volume of a name, a scalar."""
        local = self.local_scale if name == "local" else None
        return self.scale if local is None else local

    def cosines(self, name: str) -> Tensor:
        """Cosines ``[B, 2K+1, T]`` behind the volume ``plain`` or ``local``, ``-inf`` without audio.

        Where the network scores in a way of its own, they are those of its embeddings.

        Raises:
            UsageError: The model has no such volume.
        """
        if self.own_score and name in ("plain", "head"):
            cosines, inside = correlate(
                self.audio_features,
                self.video_features,
                max_offset=self.max_offset,
                audio_lead=self.audio_lead,
            )
            return cosines.masked_fill(~inside, float("-inf"))
        volume = self.volume(name).float()
        missing = torch.isneginf(volume)
        # The gradient of -inf divided by the scale would not be a number.
        cosines = volume.masked_fill(missing, 0.0)
        cosines = cosines / self.scale_of(name)
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


def volume_head(model: nn.Module) -> VolumeHead | None:
    """The head that sharpens a network's cosines; None for a network that scores in a way of its own.

    Args:
        model: A ``SyncModel``.
    """
    head = getattr(model, "head", None)
    usual = getattr(type(model), "score", None) is OffsetClassifier.score
    return head if usual and isinstance(head, VolumeHead) else None


def head_margin(model: nn.Module) -> int:
    """Candidates beyond the searched range that a network's head looks at on either side."""
    return getattr(getattr(model, "head", None), "margin", 0)


def encode_both(model: nn.Module, side: str, x: Tensor) -> tuple[Tensor | None, Tensor]:
    """Local embeddings, None without a local stage, and those with context.

    Args:
        model: A ``SyncModel``.
        side: ``video`` or ``audio``.
        x: Its input.
    """
    both = getattr(model, f"encode_{side}_both", None)
    return (None, getattr(model, f"encode_{side}")(x)) if both is None else both(x)


def embeddings(model: nn.Module, batch: WindowBatch) -> tuple[Tensor, Tensor]:
    """Embeddings of a batch: ``[B, D, T]`` and ``[B, D, T_audio]``, unit length.

    Args:
        model: A ``SyncModel``, in training mode.
        batch: Windows.
    """
    sync = cast(SyncModel, model)
    video_features = sync.encode_video(prepared(batch.video, batch.video_input))
    return _unit(model, video_features), _unit(model, sync.encode_audio(batch.audio))


def aligned_embeddings(model: nn.Module, batch: WindowBatch) -> tuple[Tensor, Tensor, Tensor]:
    """Embeddings of the frames, and of the audio that belongs to each: the known shift is undone.

    Args:
        model: A ``SyncModel``, in training mode.
        batch: Windows.

    Returns:
        ``[B, D, T]`` twice, unit length, and where there is audio: boolean ``[B, T]``.
    """
    video_features, audio_features = embeddings(model, batch)
    frames = torch.arange(video_features.shape[-1], device=video_features.device)
    audio_features, known = belonging(
        audio_features, frames, offset_frames=batch.offset_frames, audio_lead=batch.audio_lead
    )
    return video_features, audio_features, known


def _unit(model: nn.Module, features: Tensor) -> Tensor:
    if isinstance(model, OffsetClassifier):
        return features  # they are
    return F.normalize(features.float(), dim=1)


def observe(
    model: nn.Module,
    batch: WindowBatch,
    *,
    max_offset: int,
    teacher: nn.Module | None = None,
) -> Evidence:
    """What a network makes of a batch.

    Args:
        model: A ``SyncModel``, in training mode.
        batch: Windows.
        max_offset: K.
        teacher: Another network with the same inputs, whose logits are to be learned.
    """
    video, lead = prepared(batch.video, batch.video_input), batch.audio_lead
    local_video, video_features = encode_both(model, "video", video)
    local_audio, audio_features = encode_both(model, "audio", batch.audio)
    head = volume_head(model)
    if head is None:
        scale = video_features.new_ones(())
        sync = cast(SyncModel, model)

        @cache
        def scored() -> Tensor:
            return sync.score(
                audio_features, video_features, max_offset=max_offset, audio_lead=lead
            )

        def foreign() -> Tensor:
            others = of_clip_before(audio_features)
            return sync.score(others, video_features, max_offset=max_offset, audio_lead=lead)

        makers: dict[str, Callable[[], Tensor]] = {"plain": scored, "head": scored}
        makers["foreign"] = foreign
    else:
        scale = head.log_scale.exp()
        makers = _of_head(head, video_features, audio_features, max_offset=max_offset, lead=lead)
        sharpen = head

        def foreign() -> Tensor:
            others = of_clip_before(audio_features)
            return _of_head(sharpen, video_features, others, max_offset=max_offset, lead=lead)[
                "head"
            ]()

        makers["foreign"] = foreign
    local_scale = None
    if local_video is not None and local_audio is not None:
        local_scale = cast(Tensor, model.local_scale).exp()

        def local() -> Tensor:
            volume, inside = correlate(
                local_audio, local_video, max_offset=max_offset, audio_lead=lead
            )
            return (volume * local_scale).masked_fill(~inside, float("-inf"))

        makers["local"] = local
    teacher_logits = None
    if teacher is not None:
        with torch.no_grad():
            teacher_logits = teacher(
                batch.audio, video, max_offset=max_offset, audio_lead=lead
            ).logits
    return Evidence(
        video_features=_unit(model, video_features),
        audio_features=_unit(model, audio_features),
        volumes=LazyVolumes(makers),
        offset_frames=batch.offset_frames,
        max_offset=max_offset,
        audio_lead=lead,
        scale=scale,
        teacher=teacher_logits,
        local_scale=local_scale,
        local_video=local_video,
        targets=batch.targets,
        own_score=head is None,
        units=batch.units,
    )


def _of_head(
    head: VolumeHead, video_features: Tensor, audio_features: Tensor, *, max_offset: int, lead: int
) -> dict[str, Callable[[], Tensor]]:
    """What gives the volumes of a network whose head sharpens cosines."""

    @cache
    def raw() -> tuple[Tensor, Tensor]:
        return correlate(
            audio_features, video_features, max_offset=max_offset + head.margin, audio_lead=lead
        )

    def plain() -> Tensor:
        volume, inside = raw()
        cut = slice(head.margin, volume.shape[1] - head.margin)
        scale = head.log_scale.exp()
        return (volume[:, cut] * scale).masked_fill(~inside[cut], float("-inf"))

    def sharpened() -> Tensor:
        volume, inside = raw()
        rows = max_offset + head.margin
        others = [
            correlate(a, v, max_offset=rows, audio_lead=lead)[0]
            for a, v in head.further(audio_features, video_features)
        ]
        return head.refine(volume, inside.expand_as(volume), others)

    return {"plain": plain, "head": sharpened}
