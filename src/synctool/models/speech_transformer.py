"""Speech transformers of the wav2vec 2.0 kind as encoders: one row for each 25 Hz frame."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from synctool.errors import UsageError, WeightsError
from synctool.models.layer_mix import LayerMix, chosen_layer
from synctool.models.rates import normalise_utterance, pad_for_windows, pool_steps
from synctool.types import SAMPLES_PER_FRAME
from synctool.weights.transformers_folder import load_transformers, read_preprocessor

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel

_SAME = (
    *("hidden_size", "intermediate_size", "num_attention_heads", "hidden_act", "layer_norm_eps"),
    *("feat_extract_norm", "feat_extract_activation", "do_stable_layer_norm", "conv_bias"),
    *("conv_dim", "conv_kernel", "conv_stride", "feat_proj_layer_norm", "add_adapter"),
    *("num_conv_pos_embeddings", "num_conv_pos_embedding_groups", "conv_pos_batch_norm"),
    *("conv_pos_kernel_size", "num_buckets", "max_bucket_distance", "adapter_attn_dim"),
    *("position_embeddings_type", "rotary_embedding_base", "conv_depthwise_kernel_size"),
)
"""Fields of a configuration that say what the network computes, as far as a network has them."""


_HEAD = 64
"""Width of an attention head in all of them."""


def heads_of(size: int) -> int:
    """How many heads a speech transformer of this width has; a narrow one has one.

    Args:
        size: Its width.

    Raises:
        UsageError: The width is no multiple of 16, or cannot be divided among the heads.
    """
    heads = max(1, size // _HEAD)
    if size < 16 or size % 16 or size % heads:
        raise UsageError(
            f"no speech transformer of size {size}",
            remedy="Choose a multiple of 64, or 16, 32 or 48.",
        )
    return heads


def wav2vec_config(
    kind: type[PretrainedConfig],
    *,
    layers: int,
    size: int,
    channels: int,
    norm: str,
    **more: Any,
) -> PretrainedConfig:
    """A configuration; everything that is not said is as the library has it for wav2vec 2.0.

    Args:
        kind: Class of the ``transformers`` library.
        layers: Layers of the transformer.
        size: Their width, D.
        channels: Channels of the convolutions.
        norm: ``group``: group normalisation of the first convolution over the whole input, transformer
            layers that normalise after each step. ``layer``: layer normalisation of every
            convolution, which then have biases, and transformer layers that normalise before.
        more: Further fields.

    Raises:
        UsageError: There is no such size or normalisation.
    """
    if norm not in ("group", "layer"):
        raise UsageError(f"no normalisation {norm!r}", remedy="It is group or layer.")
    stable = norm == "layer"
    fields = {
        "num_hidden_layers": layers,
        "hidden_size": size,
        "num_attention_heads": heads_of(size),
        "intermediate_size": 4 * size,
        "conv_dim": (channels,) * 7,
        "feat_extract_norm": norm,
        "conv_bias": stable,
        "do_stable_layer_norm": stable,
    }
    return kind(**{**fields, **more})


class SpeechTransformer(nn.Module):
    """wav2vec 2.0, HuBERT and their kin, 50 Hz pooled in pairs to 25 Hz.

    The convolutions see 400 samples every 320. With 40 zeros on either side of the audio there are two
    steps for each frame, which lie symmetrically about its middle; their mean is the frame's row. The
    positional convolution of these networks has an even length and looks one step (20 ms)
    further back than ahead; that is theirs and left as published.

    The networks' own masking and layer drop are switched off: in training they would cover and skip
    at random on top of this package's augmentation. Dropout stays as configured.

    Args:
        network: Class of the ``transformers`` library: ``Wav2Vec2Model``, ``HubertModel`` ...
        config: Configuration of the published network; it is copied.
        name: What it is, for messages.
        layer: Hidden state that is the output: 0 is the input of the first layer, -1 the output of the
            last. Layers above are left out. As in ``transformers``, the normalisation after the
            last layer belongs to the last state only.
        mix: Take the learned mean of all hidden states up to ``layer`` instead (``LayerMix``).
        normalise: Bring the input to zero mean and unit variance, as the published feature extractor
            does where it says ``do_normalize``.

    Raises:
        UsageError: There is no such layer.
    """

    def __init__(
        self,
        *,
        network: Callable[[PretrainedConfig], PreTrainedModel],
        config: PretrainedConfig,
        name: str,
        layer: int = -1,
        mix: bool = False,
        normalise: bool = True,
    ) -> None:
        super().__init__()
        self.name = name
        self.layers = config.num_hidden_layers
        self.normalise = normalise
        self.embedding_size = config.hidden_size
        config = copy.deepcopy(config)
        config.num_hidden_layers = chosen_layer(layer, layers=self.layers)
        config.apply_spec_augment = False
        config.mask_time_prob = config.mask_feature_prob = 0.0  # no parameter for what is masked
        config.layerdrop = 0.0
        self.hop, self.window = _steps(config.conv_kernel, config.conv_stride)
        self.network: Any = network(config)  # its parts are not in the type of the base class
        # In training the library would otherwise have the audio itself require a gradient, which is
        # meant for its gradient checkpointing and fails where the audio already has one.
        self.network.feature_extractor._requires_grad = False
        if _normalises_last(config) and config.num_hidden_layers < self.layers:
            self.network.encoder.layer_norm = nn.Identity()
        states = config.num_hidden_layers + 1
        self.mix = LayerMix(states=states) if mix and states > 1 else None

    def forward(self, waveform: Tensor) -> Tensor:
        """Embeddings of the audio.

        Args:
            waveform: ``[B, 640 T]`` at 16 kHz, -1..1.

        Returns:
            ``[B, D, T]``, row t centred on sample ``640 t + 320``.
        """
        if self.normalise:
            waveform = normalise_utterance(waveform)
        # Zeros are put around what is normalised, as the published feature extractor pads.
        waveform = pad_for_windows(waveform, window=self.window, hop=self.hop)
        found = self.network(waveform, output_hidden_states=self.mix is not None)
        steps = found.last_hidden_state
        if self.mix is not None:
            # Versions of the library differ in whether their last state is the normalised one.
            steps = self.mix([*found.hidden_states[:-1], steps])
        return pool_steps(steps, per_frame=SAMPLES_PER_FRAME // self.hop)

    @property
    def pretrained(self) -> nn.Module:
        """The published layers in order: convolutions, projection, positions, transformer layers."""
        encoder = self.network.encoder
        first, last = [encoder.pos_conv_embed], []
        (last if _normalises_last(self.network.config) else first).append(encoder.layer_norm)
        groups = [self.network.feature_extractor, self.network.feature_projection]
        return nn.ModuleList([*groups, nn.ModuleList(first), *encoder.layers, *last])

    def load_published(self, path: Path) -> None:
        """Take the weights of a published folder.

        Args:
            path: Folder with ``config.json`` and the tensors, as the Hugging Face Hub gives it.

        Raises:
            MissingError: No such folder, or no network in it.
            WeightsError: It is another network, damaged, incomplete, or would have to run code; or the
                published feature extractor treats the audio otherwise.
        """
        said = read_preprocessor(path).get("do_normalize", self.normalise)
        if bool(said) != self.normalise:
            raise WeightsError(
                f"the published feature extractor of {self.name} has do_normalize {said}, "
                f"this encoder {self.normalise}",
                remedy=f"Choose the option normalise={bool(said)}.",
            )
        config = self.network.config
        load_transformers(
            self.network,
            path,
            name=self.name,
            same=[field for field in _SAME if hasattr(config, field)],
            expected={"num_hidden_layers": self.layers},
        )


def _normalises_last(config: PretrainedConfig) -> bool:
    """Whether the transformer's own normalisation stands after its last layer, not before the first."""
    return bool(getattr(config, "do_stable_layer_norm", False))


def _steps(kernels: tuple[int, ...], strides: tuple[int, ...]) -> tuple[int, int]:
    """Samples from one step of a stack of convolutions to the next, and that one step sees."""
    hop = window = 1
    for kernel, stride in zip(kernels, strides, strict=True):
        window += (kernel - 1) * hop
        hop *= stride
    return hop, window
