"""YuNet and S3FD: from a file in the published format to faces at the right place.

The networks of these tests are made here: they have the published names and shapes, and weights that
make them answer to a bright spot, so that every box and point can be worked out by hand.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import av
import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

import synctool
from synctool.cli.app import main
from synctool.errors import EXIT_MISSING, MissingError, WeightsError
from synctool.faces.detector import points_from_box
from synctool.measure.tracks import build_detector
from synctool.plugins import registry
from synctool_plugin_facedetectors.s3fd import S3fdDetector
from synctool_plugin_facedetectors.s3fd_network import S3fdNetwork, boxes_above
from synctool_plugin_facedetectors.yunet import YuNetDetector

YUNET_FILE = "face_detection_yunet_2023mar.onnx"
S3FD_FILE = "sfd_face.pth"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder of the test's own, with nothing in it."""
    monkeypatch.setenv("SYNCTOOL_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def spot(size: tuple[int, int], box: tuple[int, int, int, int]) -> np.ndarray:
    """A dark grey image of a width and height with a bright box: left, top, right, bottom."""
    image = np.full((size[1], size[0]), 16, np.uint8)
    image[box[1] : box[3], box[0] : box[2]] = 235
    return image


def spot_video(path: Path, image: np.ndarray, *, frames: int) -> Path:
    """A video that shows one image, to noise."""
    waveform = np.random.default_rng(0).normal(0, 3000, (1, frames * 640)).astype(np.int16)
    with av.open(str(path), "w") as video_file:
        video = video_file.add_stream("mpeg4", rate=25, width=image.shape[1], height=image.shape[0])
        video.pix_fmt, video.bit_rate = "yuv420p", 2_000_000
        audio = video_file.add_stream("pcm_s16le", rate=16_000, layout="mono")
        for number in range(frames):
            frame = av.VideoFrame.from_ndarray(image, "gray").reformat(format="yuv420p", threads=1)
            frame.pts = number
            video_file.mux(video.encode(frame))
        video_file.mux(video.encode(None))
        samples = av.AudioFrame.from_ndarray(waveform, "s16", "mono")
        samples.sample_rate = 16_000
        video_file.mux(audio.encode(samples))
        video_file.mux(audio.encode(None))
    return path


# --------------------------------------------------------------------------- YuNet

CENTRE = (0.25, 0.75)
"""Middle of the face within the cell that answers, in cells of 16 px."""
FACE_PX = (40.0, 48.0)
POINTS = ((-0.5, -0.4), (1.0, -0.3), (0.2, 0.5), (-0.25, 1.5), (0.75, 1.6))
"""In the order that YuNet's authors give: right eye, left eye, nose, right and left mouth corner."""


def write_yunet(path: Path, *, drop: Sequence[str] = ()) -> Path:
    """A network with YuNet's inputs and outputs that sees a face in each bright cell of 16 px."""
    nodes, weights, outputs = [], [], []

    def answer(name: str, stride: int, bias: Sequence[float], *, brightness: float) -> None:
        """Per cell ``bias``, plus its mean brightness (0..255, over three channels) times a factor."""
        taps = np.full((len(bias), 3, stride, stride), brightness / (3 * stride**2), np.float32)
        if not brightness:
            taps[:] = 0
        weights.extend(
            [
                numpy_helper.from_array(taps, f"{name}.taps"),
                numpy_helper.from_array(np.array(bias, np.float32), f"{name}.bias"),
                numpy_helper.from_array(np.array([1, -1, len(bias)]), f"{name}.shape"),
            ]
        )
        maps, last, flat = f"{name}.maps", f"{name}.last", f"{name}.flat"
        nodes.extend(
            [
                helper.make_node(
                    "Conv",
                    ["input", f"{name}.taps", f"{name}.bias"],
                    [maps],
                    kernel_shape=[stride, stride],
                    strides=[stride, stride],
                ),
                helper.make_node("Transpose", [maps], [last], perm=[0, 2, 3, 1]),
                helper.make_node("Reshape", [last, f"{name}.shape"], [flat]),
                helper.make_node("Relu" if len(bias) == 1 else "Identity", [flat], [name]),
            ]
        )
        places = (640 // stride) ** 2
        outputs.append(
            helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, places, len(bias)])
        )

    box = [*CENTRE, *np.log(np.array(FACE_PX) / 16)]
    for stride in (8, 16, 32):
        seen = stride == 16
        answer(f"cls_{stride}", stride, [-1.0], brightness=0.01 if seen else 0.0)
        answer(f"obj_{stride}", stride, [0.9025], brightness=0.0)
        answer(f"bbox_{stride}", stride, box, brightness=0.0)
        answer(f"kps_{stride}", stride, np.ravel(POINTS).tolist(), brightness=0.0)
    kept = [o for o in outputs if o.name not in drop]
    image = helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, 3, 640, 640])
    graph = helper.make_graph(nodes, "yunet", [image], kept, weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=7)
    onnx.checker.check_model(model)
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, os.fspath(path))
    return path


@pytest.fixture(scope="module")
def yunet_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_yunet(tmp_path_factory.mktemp("yunet") / YUNET_FILE)


def expected_yunet(column: int, row: int, px: float) -> tuple[np.ndarray, np.ndarray]:
    """Box and points of the face in a cell, where one pixel of the network's image is ``px``."""
    middle = (np.array([column, row]) + CENTRE) * 16
    half = np.array(FACE_PX) / 2
    box = np.concatenate([middle - half, middle + half]) * px
    return box, (np.array([column, row]) + POINTS) * 16 * px


@pytest.mark.parametrize("size", [(160, 96), (250, 130), (97, 201)])
def test_yunet_in_a_picture_of_any_size(yunet_file: Path, size: tuple[int, int]) -> None:
    image = spot(size, (48, 32, 64, 48))  # the cell in column 3, row 2
    (face,) = YuNetDetector(weights=yunet_file).detect(image)
    box, points = expected_yunet(3, 2, 1.0)
    np.testing.assert_allclose(face.box, box, atol=1e-3)
    np.testing.assert_allclose(face.points, points, atol=1e-3)
    assert face.box.dtype == face.points.dtype == np.float32
    assert face.score == pytest.approx(0.95, abs=1e-3), "the root of class (1) times object"


def test_yunet_gives_the_eye_on_the_left_of_the_picture_first(yunet_file: Path) -> None:
    (face,) = YuNetDetector(weights=yunet_file).detect(spot((160, 96), (48, 32, 64, 48)))
    eye, other, nose, mouth, corner = face.points
    assert eye[0] < nose[0] < other[0]
    assert mouth[0] < nose[0] < corner[0]
    assert max(eye[1], other[1]) < nose[1] < min(mouth[1], corner[1])


def test_yunet_in_a_reduced_picture(yunet_file: Path) -> None:
    # A followed face of 96 px may be halved; a cell of the half image is 32 px of the whole one.
    image = spot((400, 240), (96, 64, 128, 96))
    (face,) = YuNetDetector(weights=yunet_file).detect(image, smallest_face_px=96)
    box, points = expected_yunet(3, 2, 2.0)
    np.testing.assert_allclose(face.box, box, atol=1e-3)
    np.testing.assert_allclose(face.points, points, atol=1e-3)


def test_yunet_in_a_narrow_picture(yunet_file: Path) -> None:
    # Reduced to 640x16 px: a pixel of it is 2 px wide and 33/16 px high.
    (face,) = YuNetDetector(weights=yunet_file).detect(spot((1280, 33), (96, 0, 128, 33)))
    box, points = expected_yunet(3, 0, 1.0)
    np.testing.assert_allclose(face.box, box * [2, 33 / 16, 2, 33 / 16], atol=1e-3)
    np.testing.assert_allclose(face.points, points * [2, 33 / 16], atol=1e-3)


def test_yunet_looks_again_for_faces_too_large_for_it(yunet_file: Path) -> None:
    image = spot((640, 640), (192, 128, 256, 192))  # one cell of an image of 160 px
    found = YuNetDetector(weights=yunet_file).detect(image)
    large = [face for face in found if face.height_px > 150]
    assert {round(face.height_px) for face in found} == {48, 192}
    assert len(large) == 1
    np.testing.assert_allclose(large[0].box, expected_yunet(3, 2, 4.0)[0], atol=1e-3)
    assert [f.score for f in found] == sorted((f.score for f in found), reverse=True)


def test_yunet_gives_one_face_for_neighbouring_cells(yunet_file: Path) -> None:
    detector = YuNetDetector(weights=yunet_file)
    assert len(detector.detect(spot((160, 96), (48, 32, 64, 64)))) == 1
    assert len(detector.detect(spot((160, 96), (16, 32, 32, 48)))) == 1
    two = spot((160, 96), (16, 32, 32, 48)) | spot((160, 96), (112, 32, 128, 48))
    assert len(detector.detect(two)) == 2


def test_yunet_finds_nothing_in_the_dark(yunet_file: Path) -> None:
    detector = YuNetDetector(weights=yunet_file)
    for shape in ((96, 160), (1, 1), (3, 700), (500, 640)):
        assert detector.detect(np.full(shape, 16, np.uint8)) == []


def test_yunet_has_a_threshold(yunet_file: Path) -> None:
    image = spot((160, 96), (48, 32, 64, 48))
    assert YuNetDetector(weights=yunet_file, threshold=0.97).detect(image) == []
    assert len(YuNetDetector(weights=yunet_file, threshold=0.94).detect(image)) == 1


def test_a_file_that_is_not_yunet(tmp_path: Path, yunet_file: Path) -> None:
    (tmp_path / "half.onnx").write_bytes(yunet_file.read_bytes()[:3000])
    (tmp_path / "page.onnx").write_text("<html>Not found</html>")
    (tmp_path / "empty.onnx").write_bytes(b"")
    write_yunet(tmp_path / "other.onnx", drop=["kps_16"])
    for name in ("half.onnx", "page.onnx", "empty.onnx", "other.onnx"):
        with pytest.raises(WeightsError, match=name) as caught:
            YuNetDetector(weights=tmp_path / name)
        assert "synctool download yunet" in str(caught.value)
    with pytest.raises(MissingError, match=r"none\.onnx"):
        YuNetDetector(weights=tmp_path / "none.onnx")


def test_yunet_from_a_name_in_another_script(tmp_path: Path, yunet_file: Path) -> None:
    path = tmp_path / "лицо 顔.onnx"
    path.write_bytes(yunet_file.read_bytes())
    assert len(YuNetDetector(weights=path).detect(spot((160, 96), (48, 32, 64, 48)))) == 1


def test_detect_with_yunet(cache: Path, tmp_path: Path) -> None:
    write_yunet(cache / "yunet" / YUNET_FILE)
    video_file = spot_video(tmp_path / "a.mkv", spot((192, 128), (80, 64, 96, 80)), frames=30)
    result = synctool.detect(video_file, detector="yunet", device="cpu")
    (track,) = result.tracks
    box, _ = expected_yunet(5, 4, 1.0)
    np.testing.assert_allclose(track.box_px, [*box[:2], *FACE_PX], atol=1.0)
    assert (track.start_s, track.end_s) == (0.0, 1.2)


# --------------------------------------------------------------------------- S3FD

STAGE_WIDTHS = {0: 64, 2: 64, 5: 128, 7: 128, 10: 256, 12: 256, 14: 256, 17: 512, 19: 512, 21: 512}
STAGE_WIDTHS |= {24: 512, 26: 512, 28: 512}


def published_shapes() -> dict[str, tuple[int, ...]]:
    """Tensors of ``sfd_face.pth``, written down from its description."""
    shapes: dict[str, tuple[int, ...]] = {}
    before = 3
    for number, width in STAGE_WIDTHS.items():
        shapes[f"vgg.{number}.weight"] = (width, before, 3, 3)
        before = width
    shapes["vgg.31.weight"] = (1024, 512, 3, 3)
    shapes["vgg.33.weight"] = (1024, 1024, 1, 1)
    for number, shape in enumerate(
        [(256, 1024, 1, 1), (512, 256, 3, 3), (128, 512, 1, 1), (256, 128, 3, 3)]
    ):
        shapes[f"extras.{number}.weight"] = shape
    for number, width in enumerate([256, 512, 512, 1024, 512, 256]):
        shapes[f"loc.{number}.weight"] = (4, width, 3, 3)
        shapes[f"conf.{number}.weight"] = (4 if number == 0 else 2, width, 3, 3)
    shapes |= {k.replace("weight", "bias"): v[:1] for k, v in list(shapes.items())}
    return shapes | {
        "L2Norm3_3.weight": (256,), "L2Norm4_3.weight": (512,), "L2Norm5_3.weight": (512,)
    }  # fmt: skip


def test_s3fd_has_the_published_tensors() -> None:
    with torch.device("meta"):
        network = S3fdNetwork()
    assert {k: tuple(v.shape) for k, v in network.state_dict().items()} == published_shapes()


def test_s3fd_norms_begin_with_the_paper_s_scales() -> None:
    network = S3fdNetwork(width=1)
    norms = (network.L2Norm3_3, network.L2Norm4_3, network.L2Norm5_3)
    assert [norm.weight.unique().tolist() for norm in norms] == [[10.0], [8.0], [5.0]]
    out = network.L2Norm3_3(torch.tensor([3.0, 4.0, 0, 0]).reshape(1, 4, 1, 1))
    assert out.flatten().tolist() == pytest.approx([6.0, 8.0, 0.0, 0.0])


def test_s3fd_places() -> None:
    # 76 -> 38 -> 19 -> 10 (rounded up) -> 5 -> 2 -> 1 -> 1, and 100 -> 50 -> 25 -> 13 -> 6 -> 3 -> 2 -> 1.
    scales = S3fdNetwork(width=2)(torch.zeros(2, 3, 76, 100))
    places = [(19, 25), (10, 13), (5, 6), (2, 3), (1, 2), (1, 1)]
    assert [tuple(scores.shape) for _, scores in scales] == [(2, *hw) for hw in places]
    assert [tuple(shifts.shape) for shifts, _ in scales] == [(2, 4, *hw) for hw in places]


@pytest.mark.parametrize(
    ("scale", "row", "column", "shift", "box"),
    [
        (0, 3, 5, (0, 0, 0, 0), (14, 6, 30, 22)),
        (0, 3, 5, (2, -1, 0, 0), (17.2, 4.4, 33.2, 20.4)),
        (2, 1, 0, (0, 0, 5, -5), (8 - 32 * np.e, 24 - 32 / np.e, 8 + 32 * np.e, 24 + 32 / np.e)),
        (5, 0, 1, (0.5, 0, 0, 0), (192 + 25.6 - 256, 64 - 256, 192 + 25.6 + 256, 64 + 256)),
    ],
)
def test_s3fd_boxes_by_hand(scale, row, column, shift, box) -> None:
    scales = [(torch.full((1, 4, 6, 8), 9.0), torch.zeros(1, 6, 8)) for _ in range(6)]
    scales[scale][0][0, :, row, column] = torch.tensor(shift, dtype=torch.float)
    scales[scale][1][0, row, column] = 0.75
    boxes, scores = boxes_above(scales, 0.5)
    np.testing.assert_allclose(boxes.numpy(), [box], rtol=1e-5)
    assert scores.tolist() == [0.75]


SHIFT = (1.0, 2.0, 0.0, 5 * np.log(1.5))


def spot_network(channel: int = 0, *, width: int = 1) -> S3fdNetwork:
    """S3FD with weights that hand the largest value of each 4x4 px of one channel on to the first scale.

    A face is seen where that value, less the mean, is above zero.
    """
    network = S3fdNetwork(width=width).requires_grad_(False)
    for tensor in network.state_dict().values():
        tensor.zero_()
    network.L2Norm3_3.weight.fill_(10.0)
    for number in (0, 2, 5, 7, 10, 12, 14):
        network.vgg[number].weight[0, channel if number == 0 else 0, 1, 1] = 1.0
    network.conf[0].bias.copy_(torch.tensor([0.0, -3.0, -1.0, -10.0]))
    network.conf[0].weight[3, 0, 1, 1] = 2.0  # ten, the norm's length, times two: 20 - 10
    for scores in network.conf[1:]:
        scores.bias[0] = 20.0
    network.loc[0].bias.copy_(torch.tensor(SHIFT))
    return network


def write_s3fd(path: Path, network: S3fdNetwork) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(network.state_dict(), path)
    return path


@pytest.fixture
def s3fd(tmp_path: Path) -> S3fdDetector:
    return S3fdDetector(weights=write_s3fd(tmp_path / S3FD_FILE, spot_network()), width=1)


def expected_s3fd(column: int, row: int) -> np.ndarray:
    """Box of the first scale's anchor of 16 px at a place, moved by ``SHIFT``."""
    x, y = 4 * (column + 0.5) + 0.1 * 16 * SHIFT[0], 4 * (row + 0.5) + 0.1 * 16 * SHIFT[1]
    return np.array([x - 8, y - 12, x + 8, y + 12])


@pytest.mark.parametrize(
    ("size", "smallest", "px"),
    [
        ((256, 160), None, 1),  # small images as they are
        ((640, 480), None, 2),  # a quarter would be 160 px, less than 320
        ((1600, 900), None, 4),  # a quarter
        ((5120, 2560), None, 8),  # a quarter would be 1280 px, more than 640
        ((640, 480), 192, 4),  # a followed face of 192 px may be reduced to 48
        ((640, 480), 400, 4),  # 160 px at least
        ((640, 480), 20, 2),  # never more than a thorough look
    ],
)
def test_s3fd_at_all_sizes(s3fd: S3fdDetector, size, smallest, px) -> None:
    image = spot(size, (20 * px, 12 * px, 24 * px, 16 * px))  # the place in column 5, row 3
    (face,) = s3fd.detect(image, smallest_face_px=smallest)
    expected = expected_s3fd(5, 3) * px
    np.testing.assert_allclose(face.box, expected, rtol=1e-4)
    np.testing.assert_allclose(face.points, points_from_box(expected), rtol=1e-3)
    assert face.box.dtype == face.points.dtype == np.float32
    assert face.score == pytest.approx(1 / (1 + np.exp(-10.0)), rel=1e-4)


def test_s3fd_in_a_narrow_picture(s3fd: S3fdDetector) -> None:
    # Reduced to 640x16 px, but the network needs 32 rows: a pixel of it is 8x4 of the image.
    (face,) = s3fd.detect(spot((5120, 128), (160, 48, 192, 64)))
    np.testing.assert_allclose(face.box, expected_s3fd(5, 3) * [8, 4, 8, 4], rtol=1e-4)


@pytest.mark.parametrize(("channel", "mean"), [(0, 123), (1, 117), (2, 104)])
def test_s3fd_is_given_red_first_less_the_published_means(tmp_path, channel, mean) -> None:
    weights = write_s3fd(tmp_path / S3FD_FILE, spot_network(channel))
    detector = S3fdDetector(weights=weights, width=1)
    assert detector.detect(np.full((64, 64), mean, np.uint8)) == []
    assert detector.detect(np.full((64, 64), mean + 1, np.uint8))


@pytest.mark.parametrize("strongest", [0, 1, 2])
def test_s3fd_takes_the_largest_of_three_backgrounds(strongest: int) -> None:
    network = spot_network()
    bias = torch.tensor([0.0, 0.0, 0.0, 2.0])
    bias[strongest] = 3.0
    network.conf[0].bias.copy_(bias)
    _, scores = network(torch.zeros(1, 3, 64, 64))[0]
    assert torch.allclose(scores, torch.sigmoid(torch.tensor(-1.0)))


def test_s3fd_gives_one_face_for_neighbouring_places(s3fd: S3fdDetector) -> None:
    assert len(s3fd.detect(spot((256, 160), (20, 12, 28, 16)))) == 1
    two = spot((256, 160), (20, 12, 24, 16)) | spot((256, 160), (120, 100, 124, 104))
    assert len(s3fd.detect(two)) == 2
    assert s3fd.detect(np.full((160, 256), 16, np.uint8)) == []
    assert s3fd.detect(np.full((1, 1), 16, np.uint8)) == []


def test_s3fd_survives_the_way_through_a_file(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = S3fdNetwork(width=2).eval()
    for scores in network.conf:
        scores.bias.data[-1] += 6.0  # random weights would see no face
    detector = S3fdDetector(weights=write_s3fd(tmp_path / S3FD_FILE, network), width=2)
    image = np.random.default_rng(0).integers(0, 255, (96, 128)).astype(np.uint8)
    mean = torch.tensor([123.0, 117.0, 104.0])[:, None, None]
    with torch.no_grad():
        boxes, scores = boxes_above(network((torch.from_numpy(image) - mean)[None]), 0.9)
    found = detector.detect(image)
    assert len(found) > 1
    best = int(scores.argmax())
    np.testing.assert_allclose(found[0].box, boxes[best], rtol=1e-4, atol=1e-3)
    assert all(any(np.allclose(f.box, b, atol=1e-2) for b in boxes.numpy()) for f in found)


def test_s3fd_refuses_other_networks(tmp_path: Path) -> None:
    state = spot_network().state_dict()
    partial = {k: v for k, v in state.items() if k != "vgg.31.bias"}
    wider = state | {"extras.2.weight": torch.zeros(7, 8, 1, 1)}
    foreign = state | {"fc.weight": torch.zeros(2, 2)}
    told = {"vgg.31.bias": partial, "extras.2.weight": wider, "fc.weight": foreign}
    for key, tensors in told.items():
        torch.save(tensors, tmp_path / S3FD_FILE)
        with pytest.raises(WeightsError, match=key.replace(".", r"\.")):
            S3fdDetector(weights=tmp_path / S3FD_FILE, width=1)
    with pytest.raises(MissingError, match=r"none\.pth"):
        S3fdDetector(weights=tmp_path / "none.pth")


class Trap:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self._path = str(path)

    def __reduce__(self) -> tuple[object, tuple[str, str]]:
        return open, (self._path, "w")


def test_s3fd_never_runs_what_is_in_a_file(tmp_path: Path) -> None:
    torch.save({"vgg.0.weight": Trap(tmp_path / "sprung")}, tmp_path / S3FD_FILE)
    with pytest.raises(WeightsError, match=S3FD_FILE):
        S3fdDetector(weights=tmp_path / S3FD_FILE)
    assert not (tmp_path / "sprung").exists()


def test_detect_with_s3fd_of_the_published_size(cache: Path, tmp_path: Path) -> None:
    path = write_s3fd(cache / "s3fd" / S3FD_FILE, spot_network(width=64))
    assert path.stat().st_size > 80e6, "as large as the published file"
    video_file = spot_video(tmp_path / "a.mkv", spot((96, 64), (40, 28, 44, 32)), frames=15)
    result = synctool.detect(video_file, detector="s3fd", device="cpu")
    (track,) = result.tracks
    box = expected_s3fd(10, 7)
    np.testing.assert_allclose(track.box_px, [*box[:2], 16, 24], atol=0.2)


# --------------------------------------------------------------------------- the plugin


@pytest.mark.parametrize(("name", "landmarks"), [("yunet", True), ("s3fd", False)])
def test_specs_fit_the_catalogue(name: str, landmarks: bool) -> None:
    spec = registry.face_detectors.get(name)
    entry = registry.catalogue.get(spec.weights.catalogue)
    assert spec.landmarks is landmarks
    assert [file.path for file in entry.files] == [spec.weights.file_name]
    assert spec.weights.licence == entry.licence


@pytest.mark.parametrize("name", ["yunet", "s3fd"])
def test_without_its_weights(cache: Path, tmp_path: Path, capsys, name: str) -> None:
    with pytest.raises(MissingError, match=f"weights of the face detector {name}"):
        build_detector(name)
    video_file = tmp_path / "a.mkv"
    video_file.write_bytes(b"")
    for command in (["detect", video_file], ["preprocess", tmp_path, tmp_path / "out"]):
        assert main([*map(str, command), "--detector", name]) == EXIT_MISSING
        assert f"synctool download {name}" in capsys.readouterr().err


def test_detectors_are_listed_with_their_weights(cache: Path, yunet_file: Path, capsys) -> None:
    def listed() -> dict[str, dict]:
        assert main(["detectors", "--json", "-"]) == 0
        return {row["name"]: row for row in json.loads(capsys.readouterr().out)}

    assert not listed()["yunet"]["ready"]
    place = cache / "yunet" / YUNET_FILE
    place.parent.mkdir(parents=True)
    place.write_bytes(yunet_file.read_bytes())
    assert listed()["yunet"]["ready"]
    assert listed()["yunet"]["weights"]["path"] == str(place)
    assert not listed()["s3fd"]["ready"]


def test_the_plugin_itself_is_light() -> None:
    code = (
        "import sys, synctool_plugin_facedetectors\n"
        "synctool_plugin_facedetectors.synctool_face_detectors()\n"
        "print(*({'torch', 'torchvision', 'cv2', 'numpy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
