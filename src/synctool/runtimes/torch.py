"""A network in PyTorch, behind numpy arrays."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from synctool.models.protocol import sync_model


class TorchRuntime:
    """A ``SyncModel`` as a ``Runtime``.

    Args:
        network: The network, in evaluation mode on ``device``.
        device: Where it is.
    """

    name = "torch"

    def __init__(self, network: nn.Module, device: torch.device) -> None:
        self.network = network
        self._model = sync_model(network)
        self.device = device.type
        self.reach = int(getattr(network, "reach", 0))
        self._where = device

    def encode_video(self, video: np.ndarray) -> np.ndarray:
        """See ``Runtime``."""
        with torch.inference_mode():
            return _back(self._model.encode_video(self._there(video)))

    def encode_audio(self, audio: np.ndarray) -> np.ndarray:
        """See ``Runtime``."""
        with torch.inference_mode():
            return _back(self._model.encode_audio(self._there(audio)))

    def score(
        self,
        audio_features: np.ndarray,
        video_features: np.ndarray,
        *,
        max_offset: int,
        audio_lead: int = 0,
    ) -> np.ndarray:
        """See ``Runtime``."""
        with torch.inference_mode():
            return _back(
                self._model.score(
                    self._there(audio_features),
                    self._there(video_features),
                    max_offset=max_offset,
                    audio_lead=audio_lead,
                )
            )

    @property
    def threads(self) -> int:
        """See ``Runtime``."""
        return torch.get_num_threads()

    @threads.setter
    def threads(self, count: int) -> None:
        torch.set_num_threads(count)

    def _there(self, values: np.ndarray) -> Tensor:
        return torch.from_numpy(np.require(values, np.float32, ["C", "W"])).to(self._where)


def _back(values: Tensor) -> np.ndarray:
    return values.float().cpu().numpy()
