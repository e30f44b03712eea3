"""Reads the weights of dlib's face recognition network from its own file format, in pure Python and numpy.

The file is dlib's portable serialisation: an integer is a control byte (bit 7 the sign, low bits the number
of bytes) and that many little-endian bytes; a real number is a mantissa and a binary exponent as two such
integers; a tensor is the integer 2, four dimensions and raw little-endian float32. Layers carry a text tag,
so they are found by tag, in file order, which is from the input to the output. This module only reads bytes:
it never runs code of the file, and a file that is not this exact network raises ValueError.

Source: dlib/serialize.h, dlib/cuda/tensor_tools.h and dlib/dnn/layers.h, whose file format this follows.
"""

import math
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

EMBEDDING_VALUES = 128
CHIP_PIXELS = 150
CONVOLUTIONS = 29  # the stem and two for each of 14 residual blocks
_TENSOR_VERSION = 2
_LARGEST_EXPONENT = 512
_TAG = re.compile(rb"\x01.(input_rgb_image_sized|con_4|affine_|fc_2)", re.DOTALL)


@dataclass(frozen=True)
class Convolution:
    """One convolution with its affine layer folded in: kernel [h, w, in, out], bias [out]."""

    kernel: Floats
    bias: Floats
    stride: int


@dataclass(frozen=True)
class EmbeddingWeights:
    """The network's numbers: mean RGB [3] of the input, convolutions in file order, matrix [256, 128]."""

    mean_rgb: Floats
    convolutions: tuple[Convolution, ...]
    projection: Floats


class _Reader:
    def __init__(self, data: bytes, position: int) -> None:
        self._data = data
        self.position = position

    def _take(self, count: int) -> bytes:
        end = self.position + count
        if count < 0 or end > len(self._data):
            raise ValueError("dlib file ends in the middle of a value")
        taken = self._data[self.position : end]
        self.position = end
        return taken

    def integer(self) -> int:
        control = self._take(1)[0]
        length = control & 0x0F
        if control & 0x70 or not 1 <= length <= 8:
            raise ValueError(f"no dlib integer at byte {self.position - 1}")
        value = int.from_bytes(self._take(length), "little")
        return -value if control & 0x80 else value

    def text(self) -> str:
        return self._take(self.integer()).decode("ascii")

    def real(self) -> float:
        mantissa, exponent = self.integer(), self.integer()
        if abs(exponent) > _LARGEST_EXPONENT:
            raise ValueError(f"no dlib number at byte {self.position}")
        return float(mantissa) * 2.0**exponent

    def tensor(self) -> Floats:
        if self.integer() != _TENSOR_VERSION:
            raise ValueError(f"no dlib tensor at byte {self.position}")
        shape = [self.integer() for _ in range(4)]
        count = math.prod(shape)
        return np.frombuffer(self._take(4 * count), "<f4").reshape(shape).astype(np.float32)

    def alias(self) -> tuple[int, int, int, int]:
        """The shape of a window into a layer's parameters."""
        self.integer()
        return (self.integer(), self.integer(), self.integer(), self.integer())


@dataclass(frozen=True)
class _RawConvolution:
    kernel: Floats
    bias: Floats
    stride: int


def _convolution(reader: _Reader) -> _RawConvolution:
    parameters = reader.tensor().ravel()
    filters, rows, columns, stride_y, stride_x = (reader.integer() for _ in range(5))
    padding = (reader.integer(), reader.integer())
    shape = reader.alias()
    bias_shape = reader.alias()
    expected_padding = 1 if stride_y == 1 else 0
    if shape[0] != filters or shape[2:] != (rows, columns) or bias_shape[1] != filters:
        raise ValueError("a convolution of the dlib file contradicts its own shape")
    if stride_y != stride_x or padding != (expected_padding, expected_padding):
        raise ValueError("a convolution of the dlib file has an unknown stride or padding")
    size = math.prod(shape)
    kernel = parameters[:size].reshape(shape).transpose(2, 3, 1, 0)
    return _RawConvolution(kernel, parameters[size : size + filters], stride_y)


def _fold(raw: _RawConvolution, affine: Floats) -> Convolution:
    """Fold y = gain * conv(x) + offset into the convolution's own kernel and bias."""
    channels = raw.bias.size
    if affine.size != 2 * channels:
        raise ValueError("an affine layer of the dlib file does not fit its convolution")
    gain, offset = affine[:channels], affine[channels:]
    return Convolution(raw.kernel * gain, raw.bias * gain + offset, raw.stride)


def read_embedding_weights(path: Path) -> EmbeddingWeights:
    """Read `dlib_face_recognition_resnet_model_v1.dat`.

    Raises ValueError where the file is not that network.
    """
    data = path.read_bytes()
    mean: list[float] = []
    pending: _RawConvolution | None = None
    folded: list[Convolution] = []
    projection: Floats | None = None
    position = 0
    while found := _TAG.search(data, position):
        reader = _Reader(data, found.start())
        tag = reader.text()
        if tag == "input_rgb_image_sized":
            mean = [reader.real() for _ in range(3)]
            if (reader.integer(), reader.integer()) != (CHIP_PIXELS, CHIP_PIXELS):
                raise ValueError("the dlib file is not for chips of 150x150 pixels")
        elif tag == "con_4":
            pending = _convolution(reader)
        elif tag == "affine_":
            if pending is None:
                raise ValueError("an affine layer of the dlib file follows no convolution")
            folded.append(_fold(pending, reader.tensor().ravel()))
            pending = None
        else:
            outputs, inputs = reader.integer(), reader.integer()
            projection = reader.tensor().reshape(inputs, outputs)
        position = reader.position
    if projection is None or len(mean) != 3 or len(folded) != CONVOLUTIONS:
        raise ValueError("the dlib file lacks layers of the face recognition network")
    if projection.shape != (256, EMBEDDING_VALUES):
        raise ValueError("the dlib file's last layer does not give 128 values")
    return EmbeddingWeights(np.array(mean, np.float32), tuple(folded), projection)
