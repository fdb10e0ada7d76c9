"""Formats that an encoder can be exported to besides its own weights."""

from simtrain.serving.export_format import ExportFormat
from simtrain.serving.onnx_export import ONNX

FORMATS: tuple[ExportFormat, ...] = (ONNX,)
"""Each is asked for by the setting of its name in `export`, written, listed, opened again and compared with torch."""
