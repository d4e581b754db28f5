from pathlib import Path

import pytest

from actors.providers.audio.duration_output import _varint, with_durations
from schema.errors import ConfigurationError


def test_another_model_is_refused_by_its_checksum(tmp_path: Path) -> None:
    model = tmp_path / "hibari.onnx"
    model.write_bytes(b"not the model")
    with pytest.raises(ConfigurationError, match=r"got hibari\.onnx with sha256 .*, expected 5f70741d4e90"):
        with_durations(model)


@pytest.mark.parametrize(("value", "encoded"), [(1, b"\x01"), (127, b"\x7f"), (128, b"\x80\x01"), (300, b"\xac\x02")])
def test_numbers_are_encoded_as_protobuf_does(value: int, encoded: bytes) -> None:
    assert _varint(value) == encoded
