"""Images of files: a JPEG is decoded only where its header says the size that is wanted."""

from __future__ import annotations

import cv2
import numpy as np

from synctool.untrusted.origin import MalformedError

_START_OF_FRAME = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_STANDS_ALONE = {0x01, *range(0xD0, 0xD9)}
_SCAN, _END = 0xDA, 0xD9


def jpeg_size(data: bytes) -> tuple[int, int]:
    """Height and width in pixels that the header of a JPEG says; nothing is decoded.

    Raises:
        MalformedError: It is no JPEG, or has no such header.
    """
    if data[:2] != b"\xff\xd8":
        raise MalformedError("it is no JPEG" if data else "it is empty")
    at = 2
    while at + 4 <= len(data):
        if data[at] != 0xFF:
            break
        marker = data[at + 1]
        if marker == 0xFF:  # padding
            at += 1
        elif marker in _STANDS_ALONE:
            at += 2
        elif marker in (_SCAN, _END):
            break
        elif marker in _START_OF_FRAME:
            if at + 9 > len(data):
                break
            return (
                int.from_bytes(data[at + 5 : at + 7], "big"),
                int.from_bytes(data[at + 7 : at + 9], "big"),
            )
        else:
            at += 2 + max(2, int.from_bytes(data[at + 2 : at + 4], "big"))
    raise MalformedError("it is a JPEG without a frame header")


def decode_jpeg(data: bytes, *, height: int, width: int, colour: str) -> np.ndarray:
    """A JPEG of a known size.

    Args:
        data: The file.
        height: Its height in pixels.
        width: Its width in pixels.
        colour: ``gray`` or ``rgb``.

    Returns:
        uint8 ``[height, width]``, or ``[height, width, 3]`` in RGB.

    Raises:
        MalformedError: It is damaged, or of another size.
    """
    _check_shape(jpeg_size(data), height, width)
    mode = cv2.IMREAD_GRAYSCALE if colour == "gray" else cv2.IMREAD_COLOR
    try:
        # Files of synctool hold no orientation, and one would exchange the sides.
        image = cv2.imdecode(np.frombuffer(data, np.uint8), mode | cv2.IMREAD_IGNORE_ORIENTATION)
    except cv2.error as error:
        raise MalformedError(f"an image cannot be decoded: {error.err}") from error
    if image is None:
        raise MalformedError("an image cannot be decoded")
    _check_shape(image.shape[:2], height, width)
    return image if colour == "gray" else np.ascontiguousarray(image[..., ::-1])


def _check_shape(size: tuple[int, ...], height: int, width: int) -> None:
    if tuple(size) != (height, width):
        raise MalformedError(
            f"an image has {size[1]} × {size[0]} px in place of {width} × {height}"
        )
