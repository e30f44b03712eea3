"""Stands in for pykms, which Debian has not: picamera2 imports it for a preview on a screen that nobody
opens here."""


class PixelFormat:
    """The names that picamera2 reads when it is imported."""

    RGB888 = BGR888 = XRGB8888 = XBGR8888 = YUV420 = YVU420 = NV12 = None
