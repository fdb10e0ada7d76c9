"""Formats that an encoder can be exported to besides its own weights."""

from simtrain.serving.export_format import ExportFormat
from simtrain.serving.onnx_export import ONNX
from simtrain.serving.onnx_text_export import ONNX_TEXTS
from simtrain.serving.torch_export import TORCH_EXPORT

FORMATS: tuple[ExportFormat, ...] = (ONNX, ONNX_TEXTS, TORCH_EXPORT)
"""Each is asked for by the setting of its name in `export`, written, listed, opened again and compared with torch."""
