"""The closed list of reasons a verdict may carry, each with the sentence for the person.

A reason is a slug on the wire and a sentence on a screen. Rooms add no free text: what is not in this
list can't be said, so no biometric value can slip into a verdict as an explanation.
"""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """Why the outcome is what it is, or what the person can change. Values are the wire form."""

    # what the person can change (quality; names of the component after ISO/IEC 29794-5)
    NO_FACE = "no-face"
    SEVERAL_FACES = "several-faces"
    FACE_TOO_SMALL = "face-too-small"
    FACE_TOO_CLOSE = "face-too-close"
    HEAD_TURNED = "head-turned"
    BLURRED = "blurred"
    TOO_DARK = "too-dark"
    TOO_BRIGHT = "too-bright"
    UNEVEN_LIGHT = "uneven-light"
    LOW_CONTRAST = "low-contrast"
    EYES_CLOSED = "eyes-closed"
    FACE_COVERED = "face-covered"
    TOO_SHORT = "too-short"
    # liveness
    PASSIVE_FAILED = "passive-failed"
    PASSIVE_NOT_RUN = "passive-not-run"
    CHALLENGE_FAILED = "challenge-failed"
    CHALLENGE_NOT_RUN = "challenge-not-run"
    GEOMETRY_FAILED = "geometry-failed"
    GEOMETRY_NOT_RUN = "geometry-not-run"
    CONTINUITY_FAILED = "continuity-failed"
    CONTINUITY_NOT_RUN = "continuity-not-run"
    TRACK_LOST = "track-lost"
    # machine
    CAMERA_MISSING = "camera-missing"
    CAMERA_UNPLUGGED = "camera-unplugged"
    CAMERA_BLACK = "camera-black"
    CAMERA_COVERED = "camera-covered"
    CAMERA_FROZEN = "camera-frozen"
    CAMERA_TOO_SLOW = "camera-too-slow"
    FRAME_RATE_TOO_LOW = "frame-rate-too-low"
    CLIP_UNREADABLE = "clip-unreadable"
    MODEL_UNAVAILABLE = "model-unavailable"
    MEMORY_NOT_LOCKED = "memory-not-locked"
    ROOM_GONE = "room-gone"
    INTERRUPTED = "interrupted"
    TIMEOUT = "timeout"
    # consent
    DECLINED = "declined"
    CONSENT_TIMEOUT = "consent-timeout"
    CANCELLED = "cancelled"
    # refusal of a request that a known relying party signed
    REQUEST_EXPIRED = "request-expired"
    REQUEST_NOT_YET_VALID = "request-not-yet-valid"
    REQUEST_REPLAYED = "request-replayed"
    REQUEST_NOT_ALLOWED = "request-not-allowed"
    REQUEST_RATE_LIMITED = "request-rate-limited"
    PARTY_LOCKED_OUT = "party-locked-out"
    MATCH_LOCKED_OUT = "match-locked-out"
    CONSENT_INVALID = "consent-invalid"
    CONSENT_NOT_ALLOWED = "consent-not-allowed"
    BOX_BUSY = "box-busy"
    BOX_RATE_LIMITED = "box-rate-limited"
    BOX_LOCKED_OUT = "box-locked-out"
    REFERENCE_UNREADABLE = "reference-unreadable"
    ENROLL_AGAIN = "enroll-again"


SENTENCES: dict[Reason, str] = {
    Reason.NO_FACE: "No face was seen: stand in front of the camera.",
    Reason.SEVERAL_FACES: "More than one face was seen: let one person stand before the camera.",
    Reason.FACE_TOO_SMALL: "The face is too small: come closer.",
    Reason.FACE_TOO_CLOSE: "The face is too close: step back a little.",
    Reason.HEAD_TURNED: "The head is turned away: look straight at the camera.",
    Reason.BLURRED: "The picture is blurred: hold still, or clean the lens.",
    Reason.TOO_DARK: "Too dark: face the light.",
    Reason.TOO_BRIGHT: "Too bright: step out of the direct light.",
    Reason.UNEVEN_LIGHT: "One side of the face is dark: turn towards the light.",
    Reason.LOW_CONTRAST: "The picture is flat: avoid bright light behind you.",
    Reason.EYES_CLOSED: "The eyes are closed: look at the camera.",
    Reason.FACE_COVERED: "Part of the face is covered: take off what hides it.",
    Reason.TOO_SHORT: "The clip is too short: stay until the bar is full.",
    Reason.PASSIVE_FAILED: "The picture does not look like a person before the camera.",
    Reason.PASSIVE_NOT_RUN: "The passive liveness test did not run.",
    Reason.CHALLENGE_FAILED: "The prompts were not followed in time: try again and follow each prompt.",
    Reason.CHALLENGE_NOT_RUN: "No prompts were shown, so the challenge did not run.",
    Reason.GEOMETRY_FAILED: "The face moves like a flat picture.",
    Reason.GEOMETRY_NOT_RUN: "The head did not turn enough to tell a head from a picture.",
    Reason.CONTINUITY_FAILED: "The face was not seen without a break: stay in the picture and try again.",
    Reason.CONTINUITY_NOT_RUN: "Too few frames to follow the face.",
    Reason.TRACK_LOST: "The face left the picture: stay in the outline.",
    Reason.CAMERA_MISSING: "The camera does not answer: ask the staff.",
    Reason.CAMERA_UNPLUGGED: "The camera stopped: ask the staff.",
    Reason.CAMERA_BLACK: "The camera sees nothing: ask the staff to check light and lens cap.",
    Reason.CAMERA_COVERED: "Something covers the lens: uncover it.",
    Reason.CAMERA_FROZEN: "The camera shows one frozen picture: ask the staff.",
    Reason.CAMERA_TOO_SLOW: "The camera is too slow: ask the staff.",
    Reason.FRAME_RATE_TOO_LOW: "Too few pictures a second, for the box is too hot or busy: ask the staff.",
    Reason.CLIP_UNREADABLE: "The recorded clip can't be played.",
    Reason.MODEL_UNAVAILABLE: "A model is missing or damaged: ask the staff.",
    Reason.MEMORY_NOT_LOCKED: "Frames could not be kept in locked memory: ask the staff.",
    Reason.ROOM_GONE: "A part of the box stopped: try again.",
    Reason.INTERRUPTED: "The session was interrupted: try again.",
    Reason.TIMEOUT: "The session took too long: try again.",
    Reason.DECLINED: "You declined. The camera was not opened.",
    Reason.CONSENT_TIMEOUT: "There was no answer, which counts as no. The camera was not opened.",
    Reason.CANCELLED: "You stopped the session.",
    Reason.REQUEST_EXPIRED: "The request is too old.",
    Reason.REQUEST_NOT_YET_VALID: "The request is dated in the future: check both clocks.",
    Reason.REQUEST_REPLAYED: "The request was used before.",
    Reason.REQUEST_NOT_ALLOWED: "The relying party is not registered for this purpose or action.",
    Reason.REQUEST_RATE_LIMITED: "Too many requests: try again later.",
    Reason.PARTY_LOCKED_OUT: "Too many sessions of this relying party failed: try again later.",
    Reason.MATCH_LOCKED_OUT: "Too many attempts were compared with this template: try again in an hour.",
    Reason.CONSENT_INVALID: "The consent from the app does not answer this request: agree again in the app.",
    Reason.CONSENT_NOT_ALLOWED: "The relying party may not bring consent from an app.",
    Reason.BOX_RATE_LIMITED: "The box is asked too often: try again later.",
    Reason.BOX_LOCKED_OUT: "Too many sessions failed at this box: try again later.",
    Reason.BOX_BUSY: "The box is busy with another person: try again in a moment.",
    Reason.REFERENCE_UNREADABLE: "The stored template can't be opened: enrol again.",
    Reason.ENROLL_AGAIN: "The stored template was renewed since: enrol again.",
}
