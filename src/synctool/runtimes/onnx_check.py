"""ONNX graphs that are data alone: standard operators, and every number in the file itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from synctool.errors import WeightsError

_DOMAINS = {"", "ai.onnx"}
"""What the standard's own operators are in; onnxruntime knows no operator there that opens a file."""
_REMEDY = "Use a file that synctool export has written, or write it with standard operators alone."


def checked_onnx(data: bytes, path: Path) -> bytes:
    """An ONNX graph without anything that leads beyond it, as bytes for onnxruntime.

    The graph is written anew from what was checked, so that two readers of one file cannot understand two
    things. Any custom operator is refused, also inside branches, loops and local functions; local functions
    are refused themselves, as they can give a custom operator another name. Tensors kept in other files are
    refused.

    Args:
        data: The file.
        path: Its name, for messages.

    Raises:
        WeightsError: It is damaged, or is refused.
    """
    import onnx
    from google.protobuf.message import DecodeError, EncodeError

    model = onnx.ModelProto()
    try:
        model.ParseFromString(data)
    except (DecodeError, RecursionError) as error:
        raise WeightsError(
            f"{path} cannot be read as an ONNX graph: {error}", remedy="Export the model again."
        ) from error
    if not model.HasField("graph"):
        raise WeightsError(
            f"{path} cannot be read as an ONNX graph: it has none", remedy="Export the model again."
        )
    model.DiscardUnknownFields()
    problem = next(_problems(model), None)
    if problem:
        raise WeightsError(f"{path} is refused: it {problem}", remedy=_REMEDY)
    try:
        return model.SerializeToString()
    except (EncodeError, ValueError) as error:
        raise WeightsError(
            f"{path} cannot be read as an ONNX graph: {error}", remedy="Export the model again."
        ) from error


def _problems(model: Any) -> Iterator[str]:
    if len(model.functions):
        name = model.functions[0].name
        yield f"has functions of its own ({name}), which may hide other operators"
    for message in _messages(model):
        kind = message.DESCRIPTOR.name
        if kind == "TensorProto":
            if len(message.external_data) or message.data_location == message.EXTERNAL:
                yield f"keeps numbers in another file ({message.name or 'unnamed'})"
        elif kind == "NodeProto" and message.domain not in _DOMAINS:
            yield f"has the custom operator {message.domain}.{message.op_type}"


def _messages(message: Any) -> Iterator[Any]:
    """A message and all messages inside; protobuf itself limits how deep they may lie."""
    yield message
    if message.DESCRIPTOR.name == "TensorProto":
        return  # its numbers would be copied, and hold no messages
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        for inner in [value] if hasattr(value, "ListFields") else value:
            yield from _messages(inner)
