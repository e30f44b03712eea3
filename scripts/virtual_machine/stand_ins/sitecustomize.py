"""Fills three gaps between picamera2, which is made for a Pi, and libcamera's virtual pipeline.

picamera2 asks every camera for its raw modes when it opens it. The virtual pipeline has no answer to that,
where those for USB cameras answer with what they have. And picamera2 gives each buffer as one plane, where
the virtual pipeline wants the two of NV12 apart, though in the same memory. At last, libcamera 0.4 leaves a
frame's status unset there, so that it says anything; every frame counts as a good one.
"""

import contextlib
from typing import Any

import memfd_heap

with contextlib.suppress(ImportError):
    import libcamera

    _ask, _buffer = libcamera.Camera.generate_configuration, libcamera.FrameBuffer

    def _answer(camera: Any, roles: list[Any]) -> Any:
        found = _ask(camera, roles)
        return found if found is not None else _ask(camera, [libcamera.StreamRole.Viewfinder] * len(roles))

    def _two_planes(planes: list[Any]) -> Any:
        (luma,) = planes  # stays the object that picamera2 knows, for it looks for its descriptor later
        whole, chroma = luma.length, libcamera.FrameBuffer.Plane()
        luma.length = whole * 2 // 3
        chroma.fd, chroma.offset, chroma.length = luma.fd, luma.length, whole - luma.length
        return _buffer([luma, chroma])

    _two_planes.Plane = _buffer.Plane  # type: ignore[attr-defined]
    libcamera.Camera.generate_configuration = _answer
    libcamera.FrameBuffer = _two_planes
    libcamera.FrameMetadata.status = property(lambda frame: libcamera.FrameMetadata.Status.Success)

memfd_heap.install()
