"""The reader of dlib's file takes the numbers as dlib wrote them, and nothing that is not this network."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from model_factory import dlib_weights
from model_factory.dlib_weights import read_embedding_weights


def _integer(value: int) -> bytes:
    size = max(1, (abs(value).bit_length() + 7) // 8)
    return bytes([size | (0x80 if value < 0 else 0)]) + abs(value).to_bytes(size, "little")


def _text(value: str) -> bytes:
    return _integer(len(value)) + value.encode()


def _tensor(values: np.ndarray) -> bytes:
    shape = (values.size, 1, 1, 1)
    return b"".join([_integer(2), *map(_integer, shape), values.astype("<f4").tobytes()])


@given(st.integers(-(2**63), 2**63 - 1))
def test_every_integer_is_read_back(value: int) -> None:
    assert dlib_weights._Reader(_integer(value), 0).integer() == value


@given(st.integers(-(2**53), 2**53), st.integers(-300, 300))
def test_every_real_number_is_read_back(mantissa: int, exponent: int) -> None:
    reader = dlib_weights._Reader(_integer(mantissa) + _integer(exponent), 0)
    assert reader.real() == mantissa * 2.0**exponent


def test_an_affine_layer_is_folded_into_its_convolution() -> None:
    rng = np.random.default_rng(3)
    kernel, bias = rng.normal(size=(2, 3, 3, 3)), rng.normal(size=2)
    file = _tensor(np.concatenate([kernel.ravel(), bias]))
    file += b"".join(map(_integer, (2, 3, 3, 1, 1, 1, 1)))
    file += b"".join(map(_integer, (0, 2, 3, 3, 3))) + b"".join(map(_integer, (0, 1, 2, 1, 1)))
    raw = dlib_weights._convolution(dlib_weights._Reader(file, 0))
    folded = dlib_weights._fold(raw, np.array([2.0, 3.0, 10.0, 20.0], np.float32))
    assert folded.kernel.shape == (3, 3, 3, 2)
    assert folded.kernel[1, 2, 0, 1] == pytest.approx(3 * kernel[1, 0, 1, 2], rel=1e-5)
    assert folded.bias == pytest.approx(bias * (2, 3) + (10, 20), rel=1e-5)


_TAGS = [_text(tag) for tag in ("input_rgb_image_sized", "con_4", "affine_", "fc_2")]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.one_of(st.sampled_from(_TAGS), st.binary(max_size=40), st.integers(-(2**63), 2**63).map(_integer))
    )
)
def test_any_other_bytes_are_refused_with_a_reason(tmp_path: Path, parts: list[bytes]) -> None:
    file = tmp_path / "other.dat"
    file.write_bytes(b"".join(parts))
    with pytest.raises(ValueError, match=r"dlib|codec"):
        read_embedding_weights(file)
