"""SyncNet, run densely over whole clips with the weights its authors published.

Chung & Zisserman, "Out of time: automated lip sync in the wild" (ACCV workshops, 2016). Layer for
layer the PyTorch network that belongs to ``syncnet_v2.model``: a video stream over 5 frames and an
audio stream over 20 MFCC steps of 10 ms, which meet in 1024 dimensions where the L2 distance tells
how well they go together.

The published code cuts a video into windows: number i is frames ``i .. i+4`` and MFCC steps
``4i .. 4i+19``. The middle of both is frame ``i + 2``, so window i is row ``i + 2`` here. The first
and the last two rows, for which the published code has no window, repeat the outermost frame.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from synctool.models.correlation import candidates, inside_window, shear
from synctool.models.tracing import exporting
from synctool.types import DEFAULT_MAX_OFFSET

WINDOW_FRAMES = 5
"""Video frames that one embedding looks at."""
STEPS_PER_FRAME = 4
"""MFCC steps of 10 ms per video frame."""
WINDOW_STEPS = WINDOW_FRAMES * STEPS_PER_FRAME
"""MFCC steps that one embedding looks at."""
EMBEDDING = 1024
"""D."""
EPSILON = 1e-6
"""What ``torch.nn.functional.pairwise_distance`` adds to every difference."""
_REACH = WINDOW_FRAMES // 2
_SCORE_FRAMES = 64


class SyncNet(nn.Module):
    """Both streams of SyncNet, and its distances as a score volume; a ``SyncModel``.

    The names and the order of the layers are those of the published weights, so a state dict with
    the keys ``netcnnaud.*``, ``netfcaud.*``, ``netcnnlip.*`` and ``netfclip.*`` loads strictly. Use
    it in evaluation mode: the work is done in pieces, which batch statistics would tell apart.

    Args:
        max_offset: K of SyncNet's own protocol (``vshift``); any other works as well.
        chunk_frames: Frames that are in work at once. Each takes about 10 MB at the first layer.
    """

    def __init__(self, *, max_offset: int = DEFAULT_MAX_OFFSET, chunk_frames: int = 16) -> None:
        super().__init__()
        self.max_offset = max_offset
        self.margin = 0
        self.chunk_frames = chunk_frames
        self.netcnnaud = nn.Sequential(
            *_rectified(nn.Conv2d(1, 64, 3, padding=1)),
            nn.Identity(),  # a pool of one step in the published network; keeps the numbering
            *_rectified(nn.Conv2d(64, 192, 3, padding=1)),
            nn.MaxPool2d(3, stride=(1, 2)),
            *_rectified(nn.Conv2d(192, 384, 3, padding=1)),
            *_rectified(nn.Conv2d(384, 256, 3, padding=1)),
            *_rectified(nn.Conv2d(256, 256, 3, padding=1)),
            nn.MaxPool2d(3, stride=2),
            *_rectified(nn.Conv2d(256, 512, (5, 4))),
        )
        self.netfcaud = _projection()
        # Time is touched by the first kernel alone, so frames one after the other give exactly the
        # embeddings of windows one by one.
        self.netcnnlip = nn.Sequential(
            *_rectified(nn.Conv3d(3, 96, (WINDOW_FRAMES, 7, 7), stride=(1, 2, 2))),
            nn.MaxPool3d((1, 3, 3), stride=(1, 2, 2)),
            *_rectified(nn.Conv3d(96, 256, (1, 5, 5), stride=(1, 2, 2), padding=(0, 1, 1))),
            nn.MaxPool3d((1, 3, 3), stride=(1, 2, 2), padding=(0, 1, 1)),
            *_rectified(nn.Conv3d(256, 256, (1, 3, 3), padding=(0, 1, 1))),
            *_rectified(nn.Conv3d(256, 256, (1, 3, 3), padding=(0, 1, 1))),
            *_rectified(nn.Conv3d(256, 256, (1, 3, 3), padding=(0, 1, 1))),
            nn.MaxPool3d((1, 3, 3), stride=(1, 2, 2)),
            *_rectified(nn.Conv3d(256, 512, (1, 6, 6))),
        )
        self.netfclip = _projection()

    def encode_video(self, video: Tensor) -> Tensor:
        """Embeddings of face crops.

        Args:
            video: ``[B, 3, T, 224, 224]``, BGR, values 0..255.

        Returns:
            float32 ``[B, 1024, T]``, row t centred on frame t, not normalised.
        """
        batch, _, frames = video.shape[:3]
        order = _padded(frames, _REACH, video.device)
        rows = []
        for start, stop in self._chunks(batch, frames):
            part = video[:, :, order[start : stop + 2 * _REACH]].float()
            maps = self.netcnnlip(part)[..., 0, 0]
            rows.append(self.netfclip(maps.transpose(1, 2).flatten(0, 1)).unflatten(0, (batch, -1)))
        return torch.cat(rows, 1).transpose(1, 2)

    def encode_audio(self, audio: Tensor) -> Tensor:
        """Embeddings of audio.

        The layers pad with zeros along time and pool every second step, so what a step gives
        depends on where in its window it is: the windows are computed one by one.

        Args:
            audio: MFCCs ``[B, 1, 13, 4T]`` as ``synctool.features.mfcc`` makes them; steps beyond
                the last whole frame are left out.

        Returns:
            float32 ``[B, 1024, T]``, row t centred on frame t, not normalised.
        """
        batch, frames = audio.shape[0], audio.shape[-1] // STEPS_PER_FRAME
        order = _padded(frames * STEPS_PER_FRAME, _REACH * STEPS_PER_FRAME, audio.device)
        windows = audio[..., order].float().unfold(-1, WINDOW_STEPS, STEPS_PER_FRAME)
        windows = windows.movedim(3, 1)  # [B, T, 1, 13, 20]
        rows = []
        for start, stop in self._chunks(batch, frames):
            maps = self.netcnnaud(windows[:, start:stop].flatten(0, 1))
            rows.append(self.netfcaud(maps.flatten(1)).unflatten(0, (batch, -1)))
        return torch.cat(rows, 1).transpose(1, 2)

    def score(
        self,
        audio_features: Tensor,
        video_features: Tensor,
        *,
        max_offset: int,
        audio_lead: int = 0,
    ) -> Tensor:
        """Negative L2 distances ``[B, 2K+1, T]``; see ``SyncModel.score``.

        As ``calc_pdist`` of the published code, but comparisons outside the audio are ``-inf``
        instead of distances to zeros.
        """
        frames, length = video_features.shape[-1], audio_features.shape[-1]
        volume = []
        for start in range(0, frames, _SCORE_FRAMES):
            video = video_features[..., start : start + _SCORE_FRAMES].float()
            stop = start + video.shape[-1]
            first = min(max(start + audio_lead - max_offset, 0), length)
            last = max(stop + audio_lead + max_offset, first)
            audio, inside = candidates(
                audio_features[..., first:last].float(),
                stop - start,
                max_offset=max_offset,
                audio_lead=start + audio_lead - first,
            )
            distance = torch.linalg.vector_norm(video.unsqueeze(2) - audio + EPSILON, dim=1)
            volume.append((-distance).masked_fill(~inside, float("-inf")))
        return torch.cat(volume, 2)

    def score_window(
        self,
        audio: Tensor,
        inside: Tensor,
        video_features: Tensor,
        *,
        outside: float = float("-inf"),
    ) -> Tensor:
        """As ``score``, of one window, for programs that have this graph alone; shapes and
        arguments as of ``synctool.models.heads.WindowHead.score_window``.

        All differences of all candidates would take D times the memory of the volume, so the squares
        are multiplied out: ``|v - s|^2 = |v|^2 + |s|^2 - 2 v s``. That loses digits where both are long
        and close; as the mean frame is taken off both first, little is left to lose.
        """
        frames = video_features.shape[-1]
        middle = video_features.mean(2, keepdim=True)
        video, centred_audio = video_features - middle + EPSILON, audio - middle
        squares = video.square().sum(1)[:, :, None] + centred_audio.square().sum(1)[:, None]
        products = torch.bmm(video.transpose(1, 2), centred_audio)
        apart = shear(squares - 2 * products).clamp_min(0.0).sqrt()
        return (-apart).masked_fill(~inside_window(inside, frames), outside)

    def _chunks(self, batch: int, frames: int) -> list[tuple[int, int]]:
        if exporting():
            return [(0, frames)]
        size = max(1, self.chunk_frames // batch)
        return [(start, min(start + size, frames)) for start in range(0, frames, size)]


def syncnet(*, max_offset: int = DEFAULT_MAX_OFFSET) -> SyncNet:
    """The network of 2016.

    Args:
        max_offset: K.
    """
    return SyncNet(max_offset=max_offset)


def _rectified(layer: nn.Conv2d | nn.Conv3d) -> tuple[nn.Module, nn.Module, nn.Module]:
    norm = nn.BatchNorm3d if isinstance(layer, nn.Conv3d) else nn.BatchNorm2d
    return layer, norm(layer.out_channels), nn.ReLU(inplace=True)


def _projection() -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(512, 512), nn.BatchNorm1d(512), nn.ReLU(inplace=True), nn.Linear(512, EMBEDDING)
    )


def _padded(length: int, reach: int, device: torch.device) -> Tensor:
    """Indices ``-reach .. length + reach - 1``, those outside held at the ends."""
    return torch.arange(-reach, length + reach, device=device).clamp(0, length - 1)
