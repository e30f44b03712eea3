"""Fills one gap of libcamera's virtual pipeline: asked for a raw stream it has no answer, where those for
USB cameras answer with what they have. picamera2 asks every camera for its raw modes when it opens it."""

import contextlib

with contextlib.suppress(ImportError):
    import libcamera

    _ask = libcamera.Camera.generate_configuration

    def _answer(camera: libcamera.Camera, roles: list[libcamera.StreamRole]) -> libcamera.CameraConfiguration:
        found = _ask(camera, roles)
        return found if found is not None else _ask(camera, [libcamera.StreamRole.Viewfinder] * len(roles))

    libcamera.Camera.generate_configuration = _answer
