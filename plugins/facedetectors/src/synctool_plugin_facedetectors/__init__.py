"""Two published face detectors for synctool: YuNet, small and quick, and S3FD, SyncNet's own."""

from __future__ import annotations

from synctool import hookimpl
from synctool.plugins.specs import FaceDetectorSpec, WeightsSpec


@hookimpl
def synctool_face_detectors() -> list[FaceDetectorSpec]:
    """YuNet and S3FD; their weights come through ``synctool download``."""
    return [
        FaceDetectorSpec(
            name="yunet",
            factory="synctool_plugin_facedetectors.yunet:YuNetDetector",
            summary="YuNet of the OpenCV zoo: five landmarks, small",
            weights=WeightsSpec(
                name="yunet",
                licence="MIT",
                catalogue="yunet",
                file_name="face_detection_yunet_2023mar.onnx",
            ),
        ),
        FaceDetectorSpec(
            name="s3fd",
            factory="synctool_plugin_facedetectors.s3fd:S3fdDetector",
            summary="S3FD, whose boxes the published SyncNet's crops are made from; slow without a GPU",
            landmarks=False,
            weights=WeightsSpec(
                name="s3fd",
                licence="none stated for the weights; the code beside them is MIT",
                catalogue="s3fd",
                file_name="sfd_face.pth",
            ),
        ),
    ]
