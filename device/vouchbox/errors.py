"""Every error a person can meet, under one root.

An error is one sentence: what went wrong, then what to do. It never carries a pixel, an embedding, a key
or a name. `code` is stable and goes into logs and counters; `exit_code` is what the command line returns
(1 failure, 2 usage, 3 no verdict).
"""

from __future__ import annotations


class VouchboxError(Exception):
    """Root of all errors of this package; str() is the sentence that the person reads."""

    code = "error"
    exit_code = 1

    def __init__(self, what: str, fix: str) -> None:
        self.what = what
        self.fix = fix
        super().__init__(f"{what}: {fix}.")


class Refusal(VouchboxError, ValueError):
    """Something untrue or unasked that was turned away; `reason` is a stable slug for counters and logs."""

    def __init__(self, reason: str, what: str, fix: str) -> None:
        self.reason = reason
        super().__init__(what, fix)


class UsageError(VouchboxError, ValueError):
    """A command or option that makes no sense as given."""

    code = "usage"
    exit_code = 2


class ConfigError(VouchboxError, ValueError):
    """The configuration file or a relying party's registration is wrong."""

    code = "config"
    exit_code = 2


class NoVerdict(VouchboxError):
    """The session ended without a verdict (timeout, no answer from a room)."""

    code = "no-verdict"
    exit_code = 3


# --- between rooms ------------------------------------------------------------------------------------
class MessageError(VouchboxError, ValueError):
    """Bytes that are no message: malformed, oversized, of an unknown type, or over the session's budget."""

    code = "message"


class RoomGone(VouchboxError, ConnectionError):
    """The process on the other side of a wall is not there, or stopped answering."""

    code = "room-gone"


# --- camera -------------------------------------------------------------------------------------------
class CameraError(VouchboxError, OSError):
    """The camera does not deliver frames that can be judged."""

    code = "camera"


class CameraMissing(CameraError):
    """No camera answers under the configured name."""

    code = "camera-missing"


class CameraUnplugged(CameraError):
    """The camera stopped delivering frames in the middle of a session."""

    code = "camera-unplugged"


class CameraBlack(CameraError):
    """Every frame is black."""

    code = "camera-black"


class CameraCovered(CameraError):
    """Something covers the lens: frames have light but no detail."""

    code = "camera-covered"


class CameraFrozen(CameraError):
    """The camera repeats one and the same frame."""

    code = "camera-frozen"


class CameraTooSlow(CameraError):
    """The camera delivers too few frames per second for a judgement."""

    code = "camera-too-slow"


class ClipError(CameraError, ValueError):
    """A recorded clip that can't be played: missing, empty, broken, too large, not a video."""

    code = "clip"


class MemoryLockError(VouchboxError, OSError):
    """Frames could not be locked into memory."""

    code = "memory-lock"


# --- vision -------------------------------------------------------------------------------------------
class ModelError(VouchboxError):
    """A model is missing, does not match its digest, or has the wrong inputs or outputs."""

    code = "model"


class RuntimeMissing(ModelError, ImportError):
    """No TFLite runtime of the wanted name is installed, or it can't be constructed."""

    code = "runtime"


# --- evaluation ---------------------------------------------------------------------------------------
class EvaluationError(VouchboxError, ValueError):
    """A labelled set that can't be measured: a file in it can't be read, or scores can't be kept."""

    code = "evaluation"


# --- vault --------------------------------------------------------------------------------------------
class KeyStoreError(VouchboxError):
    """A key is missing, unreadable, readable by others, or of the wrong kind."""

    code = "key"


class RequestRefused(Refusal):
    """A request that must not open the camera; `reason` is a stable slug such as 'expired' or 'replayed'."""

    code = "request-refused"


class SealError(VouchboxError, ValueError):
    """A sealed template that can't be opened: wrong recipient, wrong context, or damaged."""

    code = "seal"


class AuditError(VouchboxError, ValueError):
    """The audit log is not the one that the box vouched for: edited, cut off, or put back from a copy."""

    code = "audit"


class OutboxError(VouchboxError, OSError):
    """The outbox can't be written; nothing was accepted."""

    code = "outbox"


class CodeRefused(Refusal):
    """A withdrawal code that withdraws nothing; `reason` is a stable slug such as 'unknown' or 'forged'."""

    code = "code-refused"


class ReceiptInvalid(VouchboxError, ValueError):
    """A receipt that does not verify: forged, changed, or of a box that nobody knows."""

    code = "receipt-invalid"


# --- uplink and relying party -------------------------------------------------------------------------
class BrokerError(VouchboxError, ConnectionError):
    """The MQTT broker can't be reached, refuses this box, or shows the wrong certificate."""

    code = "broker"


class VerdictInvalid(VouchboxError, ValueError):
    """A verdict or acknowledgement that does not verify: forged, expired, for someone else, or replayed."""

    code = "verdict-invalid"


# --- update -------------------------------------------------------------------------------------------
class UpdateRefused(Refusal):
    """A package that must not be installed; `reason` is a stable slug such as 'signature' or 'older'."""

    code = "update-refused"


class UpdateError(VouchboxError, OSError):
    """An update that could not be prepared; nothing was changed."""

    code = "update"
