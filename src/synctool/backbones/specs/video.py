"""Video encoders."""

from __future__ import annotations

from dataclasses import replace

from synctool.backbones.specs.joint import FCN_WEIGHTS
from synctool.plugins.specs import BackboneSpec, VideoInput, WeightsSpec

KINETICS_MEAN = (0.43216, 0.394666, 0.37645)
KINETICS_STD = (0.22803, 0.22145, 0.216989)
"""What torchvision's ``transforms()`` of its video networks subtract and divide by."""

_HARA_MEAN = (0.4345, 0.4051, 0.3775)
_HARA_STD = (0.2768, 0.2713, 0.2737)
"""What the code of Hara et al. subtracts and divides by, for Kinetics."""


def specs() -> list[BackboneSpec]:
    """The video half of ``fcn-cls``, and published networks for action recognition."""
    return [
        BackboneSpec(
            name="fcn-mouth",
            tag="72",
            default=True,
            role="video",
            factory="synctool.backbones.fcn_cls:mouth_encoder",
            summary="the video half of fcn-cls: grey mouth crops",
            video=VideoInput(crop="mouth", size_px=72, colour="gray"),
            embedding_size=256,
            receptive_field_frames=13,
            options={"embedding": 256, "width": 32},
            weights=replace(FCN_WEIGHTS, part="video_encoder."),
            small={"embedding": 16, "width": 4},
        ),
        _resnet3d("r3d_18", "b3b3357e", frames=109, summary="3-D kernels throughout", default=True),
        _resnet3d("mc3_18", "a90a0ba3", frames=11, summary="3-D kernels in the first stage alone"),
        _resnet3d("r2plus1d_18", "91a641e6", frames=109, summary="space and time in turn"),
        _deep_resnet3d("r3d_34", "r3d34_K_200ep.pth", frames=453, size=512),
        _deep_resnet3d("r3d_50", "r3d50_K_200ep.pth", frames=217, size=2048),
        BackboneSpec(
            name="i3d",
            tag="r50",
            default=True,
            role="video",
            factory="synctool.backbones.i3d:i3d",
            summary="I3D on ResNet-50 (Carreira & Zisserman 2017), of PyTorchVideo",
            video=VideoInput(
                crop="face", size_px=224, colour="rgb", mean=(0.45,) * 3, std=(0.225,) * 3
            ),
            embedding_size=2048,
            receptive_field_frames=37,
            options={"stages": 4, "width": 64},
            weights=WeightsSpec(
                name="i3d-r50.kinetics400",
                licence="none stated for the weights; PyTorchVideo is Apache-2.0",
                catalogue="i3d-r50",
                file_name="I3D_8x8_R50.pyth",
            ),
            any_crop=True,
            small={"stages": 2, "width": 8},
        ),
        BackboneSpec(
            name="i3d",
            tag="two-stream",
            role="video",
            factory="synctool.backbones.i3d_two_stream:i3d_two_stream",
            summary="I3D with two streams (Carreira & Zisserman 2017): frames and optical flow",
            video=VideoInput(
                crop="face", size_px=224, colour="rgb", value_range=(-1.0, 1.0), flow="dis"
            ),
            embedding_size=2048,
            receptive_field_frames=101,
            options={"stages": 4, "width": 64},
            weights=WeightsSpec(
                name="i3d-two-stream.kinetics400",
                licence="none stated; from DeepMind's (Apache-2.0); terms of Kinetics-400 may apply",
                catalogue="i3d-two-stream",
                file_name=".",
            ),
            any_crop=True,
            small={"stages": 2, "width": 8},
        ),
    ]


def _resnet3d(
    tag: str, digits: str, *, frames: int, summary: str, default: bool = False
) -> BackboneSpec:
    """A network of torchvision; the digits are those in the name of its file."""
    return BackboneSpec(
        name="resnet3d",
        tag=tag,
        default=default,
        role="video",
        factory=f"synctool.backbones.resnet3d:{tag}",
        summary=f"{tag} of torchvision (Tran et al. 2018): {summary}",
        video=VideoInput(
            crop="face", size_px=112, colour="rgb", mean=KINETICS_MEAN, std=KINETICS_STD
        ),
        embedding_size=512,
        receptive_field_frames=frames,
        options={"stages": 4},
        weights=WeightsSpec(
            name=f"{tag}.kinetics400",
            licence="BSD-3-Clause (torchvision); trained on Kinetics-400, whose terms may apply",
            catalogue=tag.replace("_", "-"),
            file_name=f"{tag}-{digits}.pth",
        ),
        any_crop=True,
        small={"stages": 1},
    )


def _deep_resnet3d(tag: str, file_name: str, *, frames: int, size: int) -> BackboneSpec:
    """A network of Hara et al., whose files stand in a folder of Google Drive only."""
    return BackboneSpec(
        name="resnet3d",
        tag=tag,
        role="video",
        factory=f"synctool.backbones.resnet3d:{tag}",
        summary=f"{tag} of Hara et al. (2018): 3-D kernels throughout, {tag[-2:]} layers",
        video=VideoInput(crop="face", size_px=112, colour="rgb", mean=_HARA_MEAN, std=_HARA_STD),
        embedding_size=size,
        receptive_field_frames=frames,
        options={"stages": 4},
        weights=WeightsSpec(
            name=f"{tag}.kinetics700",
            licence="MIT (repository); trained on Kinetics-700, whose terms may apply",
            file_name=file_name,
        ),
        any_crop=True,
        small={"stages": 1},
    )
