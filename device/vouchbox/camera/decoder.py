"""Opens a video file for decoding, and nothing else: the guard between an unknown file and ffmpeg.

Only a regular local file is opened, by descriptor, and only when its first bytes are those of a known
container: a playlist or a concat script under the name of a video never reaches ffmpeg, which would follow
it to other files and hosts. Where OpenCV passes them on (4.12 and later; 4.11 ignores them), ffmpeg is also
told to use no other protocol, demuxer or decoder. Sizes and lengths have limits. Nothing is written.
"""

from __future__ import annotations

import math
import os
import stat
from pathlib import Path

import cv2

from vouchbox.errors import ClipError

CLIP_BYTES_LIMIT = 512 * 1024 * 1024
"""Size of a clip file, at most."""

CLIP_SECONDS_LIMIT = 600.0
"""Length of a clip, at most."""

CLIP_PIXELS_LIMIT = 4096 * 2304
"""Pixels of one frame, at most: a 4K phone clip."""

CLIP_SIDE_MINIMUM = 16
"""Pixels of a frame's shorter side, at least."""

CONTAINERS = ("mov", "matroska", "gif", "mpeg", "avi")
"""ffmpeg's names of the demuxers that may run; `mov` covers mp4, `matroska` covers webm, `mpeg` is mpg."""

_SIGNATURES = (
    (4, (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")),  # mp4, mov (ISO/IEC 14496-12)
    (0, (b"\x1a\x45\xdf\xa3",)),  # mkv, webm (EBML, RFC 8794)
    (0, (b"GIF87a", b"GIF89a")),
    (0, (b"\x00\x00\x01\xba",)),  # mpg (program stream, ISO/IEC 13818-1)
    (8, (b"AVI ",)),
)
_SIGNATURE_BYTES = 16

CODECS = (
    "h264,hevc,vp8,vp9,libvpx,libvpx-vp9,av1,libdav1d,libaom-av1,mpeg4,mpeg1video,mpeg2video,mjpeg,gif,h263"
)
"""ffmpeg's names of the decoders that may run: what phones, browsers, webcams and OpenCV write."""

USUAL_RATE = 30.0
"""Frames per second, taken where a file names none that is plausible."""

_PLAUSIBLE_RATE = (1.0, 240.0)
_TIMEOUT_MS = 5000
_SILENT = 0


def open_file(path: Path) -> int:
    """A descriptor of the regular file `path`; raises ClipError when it is none, empty or too large."""
    try:
        # O_NONBLOCK: opening a named pipe must not wait for its writer.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    except FileNotFoundError:
        raise broken("does not exist", "give the path of a video file") from None
    except (OSError, ValueError) as problem:
        detail = problem.strerror if isinstance(problem, OSError) else "bad path"
        raise broken(f"can't be read ({detail})", "give a readable video file") from None
    state = os.fstat(descriptor)
    refusal = None
    if not stat.S_ISREG(state.st_mode):
        refusal = broken("is not a regular file", "give a video file")
    elif state.st_size == 0:
        refusal = broken("is empty", "record it again")
    elif state.st_size > CLIP_BYTES_LIMIT:
        refusal = broken(f"is larger than {CLIP_BYTES_LIMIT >> 20} MiB", "cut it to a few seconds")
    elif not _known(os.pread(descriptor, _SIGNATURE_BYTES, 0)):
        refusal = no_video()
    if refusal is not None:
        os.close(descriptor)
        raise refusal
    return descriptor


def open_decoder(descriptor: int) -> cv2.VideoCapture:
    """A decoder at the start of the open file; raises ClipError when it is no video or too large a one."""
    restrain_ffmpeg()
    reader = cv2.VideoCapture(
        f"/proc/self/fd/{descriptor}",
        cv2.CAP_FFMPEG,
        [
            *(cv2.CAP_PROP_N_THREADS, 1),
            *(cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, _TIMEOUT_MS),
            *(cv2.CAP_PROP_READ_TIMEOUT_MSEC, _TIMEOUT_MS),
            *(cv2.CAP_PROP_HW_ACCELERATION, cv2.VIDEO_ACCELERATION_NONE),
        ],
    )
    try:
        if not reader.isOpened():
            raise no_video()
        reader.set(cv2.CAP_PROP_ORIENTATION_AUTO, 1)
        check_size(reader.get(cv2.CAP_PROP_FRAME_WIDTH), reader.get(cv2.CAP_PROP_FRAME_HEIGHT))
        check_length(reader.get(cv2.CAP_PROP_FRAME_COUNT) / rate_of(reader))
    except BaseException:
        reader.release()
        raise
    return reader


def rate_of(reader: cv2.VideoCapture) -> float:
    """Nominal frames per second."""
    rate = reader.get(cv2.CAP_PROP_FPS)
    low, high = _PLAUSIBLE_RATE
    return float(rate if low <= rate <= high else USUAL_RATE)


def check_size(width: float, height: float) -> None:
    """Raises ClipError for a picture with too many pixels."""
    if width * height > CLIP_PIXELS_LIMIT:
        raise broken(f"has frames of more than {CLIP_PIXELS_LIMIT} pixels", "scale it down")


def check_length(seconds: float) -> None:
    """Raises ClipError for a clip that is too long; an unknown length (negative, not finite) passes."""
    if math.isfinite(seconds) and seconds > CLIP_SECONDS_LIMIT:
        raise broken(f"is longer than {CLIP_SECONDS_LIMIT:.0f} s", "cut it to a few seconds")


def broken(what: str, fix: str) -> ClipError:
    """The error for a clip; it names no file, for file names often name a person."""
    return ClipError(f"the clip {what}", fix)


def no_video() -> ClipError:
    """The error for a file that is not, or not quite, a video."""
    return broken("is no video that can be played", "use mp4, mov, mkv, webm, gif, mpg or avi")


def _known(head: bytes) -> bool:
    return any(head.startswith(words, place) for place, words in _SIGNATURES)


def restrain_ffmpeg() -> None:
    """Tell OpenCV's ffmpeg, through the environment it reads: known kinds of local files only, silently."""
    os.environ["OPENCV_FFMPEG_CAPTURE_OPTIONS"] = (
        f"protocol_whitelist;file|format_whitelist;{','.join(CONTAINERS)}|codec_whitelist;{CODECS}"
    )
    os.environ["OPENCV_FFMPEG_LOGLEVEL"] = "-8"
    silence_opencv()


def silence_opencv() -> None:
    """OpenCV may not write to standard error: what went wrong is said once, by an error of ours."""
    # OpenCV 4.11 has the call at the top, later ones in a submodule.
    owner = cv2 if hasattr(cv2, "setLogLevel") else getattr(cv2.utils, "logging", None)
    if owner is not None:
        owner.setLogLevel(_SILENT)
