"""Opens up the voice's model: the same file with one output more, how long each phoneme lasts.

An ONNX file is a protobuf message, and appending a field to a serialised message adds to it: ten bytes of ours after
the file's own are a `graph.output` that names an inner tensor. No ONNX package is needed, and the file stays untouched.
Right for one file only, so its checksum is verified first.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from schema.errors import ConfigurationError

#: `hibari.onnx` of hibari-tts 0.2.1.
_MODEL_SHA256 = "5f70741d4e900f4e85d0037498736cc1b3e1b9a63a13546a5da1e63abf4fccd8"
#: Number of 25 ms steps for each phoneme id, 64-bit integers.
_TENSOR = b"/Cast_32_output_0"
# Field numbers of onnx.proto: ModelProto.graph, GraphProto.output, ValueInfoProto.name and .type,
# TypeProto.tensor_type, TypeProto.Tensor.elem_type, and the value INT64 of TensorProto.DataType.
_GRAPH, _OUTPUT, _NAME, _TYPE, _TENSOR_TYPE, _ELEM_TYPE, _INT64 = 7, 12, 1, 2, 1, 1, 7
_VARINT, _BYTES = 0, 2
_SEVEN_BITS = 0x7F


def with_durations(model: Path) -> bytes:
    """Return the model in `model` with phoneme durations as its last output.

    Raises:
        ConfigurationError: it is not the file whose inside is known.
    """
    content = model.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != _MODEL_SHA256:
        raise ConfigurationError(
            f"got {model.name} with sha256 {found[:12]}, expected {_MODEL_SHA256[:12]}, the voice of hibari-tts 0.2.1",
            hint="install the locked packages again: uv sync --frozen --reinstall-package hibari-tts",
        )
    element = _varint(_ELEM_TYPE << 3 | _VARINT) + _varint(_INT64)
    output = _field(_NAME, _TENSOR) + _field(_TYPE, _field(_TENSOR_TYPE, element))
    return content + _field(_GRAPH, _field(_OUTPUT, output))


def _field(number: int, payload: bytes) -> bytes:
    return _varint(number << 3 | _BYTES) + _varint(len(payload)) + payload


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > _SEVEN_BITS:
        out.append(value & _SEVEN_BITS | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
