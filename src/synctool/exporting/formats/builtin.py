"""The export formats that come with the package, registered through the plugin door."""

from __future__ import annotations

from typing import Any

from synctool.plugins.hookspecs import hookimpl
from synctool.plugins.specs import ExporterSpec
from synctool.types import Precision

_BOTH: tuple[Precision, ...] = ("float32", "float16")
_ALL: tuple[Precision, ...] = (*_BOTH, "int8-static", "int8-dynamic")
_ONNX = ("onnx", "onnxscript")


@hookimpl
def synctool_exporters() -> list[ExporterSpec]:
    """Formats of PyTorch itself, ONNX, and those of four vendors."""
    return [
        _format(
            "onnx",
            "ONNX, for onnxruntime on any system and in browsers",
            suffix=".onnx",
            precisions=_ALL,
            writes_with=_ONNX,
            runs_with=("onnxruntime",),
            data_only=True,
            requirement="synctool[export]",
        ),
        _format(
            "torchscript",
            "TorchScript, for LibTorch in C++",
            suffix=".ts",
            precisions=_BOTH,
            runs_with=("torch",),
            requirement="synctool[export]",
        ),
        _format(
            "exported-program",
            "torch.export's ExportedProgram, for AOTInductor and ExecuTorch",
            suffix=".pt2",
            precisions=_BOTH,
            runs_with=("torch",),
            requirement="synctool[export]",
        ),
        _format(
            "openvino",
            "OpenVINO, for Intel's processors and graphics",
            suffix=".openvino",
            precisions=_BOTH,
            writes_with=(*_ONNX, "openvino"),
            runs_with=("openvino",),
            data_only=True,
            requirement="synctool[openvino]",
        ),
        _format(
            "coreml",
            "Core ML, for Apple's devices",
            suffix=".mlpackage",
            precisions=_BOTH,
            writes_with=("coremltools",),
            runs_with=("coremltools",),
            requirement="synctool[coreml]",
            runs_on=("Darwin",),
        ),
        _format(
            "tflite",
            "LiteRT (TensorFlow Lite), for phones; clips of one length",
            suffix=".tflite",
            precisions=_BOTH,
            writes_with=("litert_torch",),
            runs_with=("ai_edge_litert",),
            requirement="synctool[tflite]",
        ),
        _format(
            "tensorrt",
            "TensorRT engine, for the NVIDIA card that it is made on",
            suffix=".engine",
            precisions=_BOTH,
            writes_with=(*_ONNX, "tensorrt"),
            runs_with=("tensorrt", "torch"),
            requirement="synctool[tensorrt]",
        ),
    ]


def _format(name: str, summary: str, **more: Any) -> ExporterSpec:
    module = name.replace("-", "_")
    return ExporterSpec(
        name=name,
        summary=summary,
        writer=f"synctool.exporting.formats.{module}_writer:write",
        reader=f"synctool.runtimes.{module}:read",
        in_memory=True,
        **more,
    )
