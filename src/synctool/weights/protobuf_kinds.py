"""Which kind of model a protobuf message is, told by the numbers of its outermost fields."""

from __future__ import annotations

from collections.abc import Iterator

_MOST_FIELDS = 256
_VARINT, _LENGTH = 0, 2
_FIXED = {1: 8, 5: 4}
_COREML_KINDS = 200
"""From this number on Core ML has one field for each kind of model."""


def protobuf_kind(data: bytes) -> str | None:
    """``onnx``, ``saved-model``, ``graph-def`` or ``coreml``; None for anything else.

    Args:
        data: The file; a part at its end may be missing.
    """
    fields = list(_fields(data))
    if not fields:
        return None
    numbers = {number for number, *_ in fields}
    first, wire, _ = fields[0]
    if first == 1 and wire == _VARINT:
        if max(numbers) >= _COREML_KINDS:
            return "coreml"
        # The graph, or the operator sets after it: ``ModelProto`` of the ONNX standard.
        if any(number in (7, 8) and wire == _LENGTH for number, wire, _ in fields):
            return "onnx"
        inner = next((part for number, wire, part in fields if (number, wire) == (2, _LENGTH)), b"")
        if numbers == {1, 2} and inner[:1] == b"\x0a":
            return "saved-model"
    # ``GraphDef``: nodes, each with a name and an operator.
    nodes = [part for number, wire, part in fields if (number, wire) == (1, _LENGTH)]
    if first == 1 and nodes and any(op in nodes[0][:256] for op in (b"Placeholder", b"Const")):
        return "graph-def"
    return None


def _fields(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Numbers, wire types and beginnings of contents, as far as they make sense."""
    at = 0
    for _ in range(_MOST_FIELDS):
        tag, at = _varint(data, at)
        number, wire = tag >> 3, tag & 7
        if tag < 0 or not number:
            return
        if wire == _VARINT:
            value, at = _varint(data, at)
            if value < 0:
                return
            yield number, wire, b""
        elif wire == _LENGTH:
            length, at = _varint(data, at)
            if length < 0:
                return
            yield number, wire, data[at : at + min(length, 512)]
            at += length
        elif wire in _FIXED:
            yield number, wire, b""
            at += _FIXED[wire]
        else:
            return


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """A number of variable length and the place after it; -1 where there is none."""
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(data):
            break
        value |= (data[at] & 0x7F) << shift
        at += 1
        if data[at - 1] < 0x80:
            return value, at
    return -1, at
