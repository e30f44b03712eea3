"""A picture from a file becomes a subject, found by the box's own networks; what can't serve says why."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from vouchbox.camera.source import Image
from vouchbox.config import Camera
from vouchbox.errors import UsageError
from vouchbox.simulator.subject import portraits
from vouchbox.simulator.subject.picture_file import from_file
from vouchbox.simulator.subject.portraits import eye_distance
from vouchbox.simulator.subject.source import simulated
from vouchbox.simulator.subject.spec import PortraitName

pytest.importorskip("skimage", reason="the portraits travel in the extra `simulator`")
pytest.importorskip("matplotlib", reason="the portraits travel in the extra `simulator`")


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """A public-domain portrait as a file."""
    return save(tmp_path, portraits.picture(PortraitName.HOPPER))


def save(folder: Path, picture: Image) -> Path:
    path = folder / "portrait.png"
    _, coded = cv2.imencode(".png", picture[..., ::-1])  # noqa: TID251 - public domain
    path.write_bytes(coded.tobytes())
    return path


def inside(outline: NDArray[np.float32], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    mask = np.zeros(shape[:2], np.uint8)
    cv2.fillPoly(mask, [outline.round().astype(np.int32)], (1,))
    return mask > 0


def test_finds_the_landmarks_and_the_person_that_were_traced_by_hand(saved: Path) -> None:
    found, traced = from_file(saved), portraits.portrait(PortraitName.HOPPER)
    scale = eye_distance(traced.landmarks) / eye_distance(found.landmarks)
    move = traced.landmarks[:, :2].mean(0) - scale * found.landmarks[:, :2].mean(0)
    error = np.linalg.norm(scale * found.landmarks[:, :2] + move - traced.landmarks[:, :2], axis=1).mean()
    assert error < 0.05 * eye_distance(traced.landmarks)
    ours = inside(scale * found.outline + move, traced.image.shape)
    theirs = inside(traced.outline, traced.image.shape)
    top = traced.landmarks[:, 1].max().astype(int)
    ours, theirs = ours[: int(top)], theirs[: int(top)]
    assert (ours & theirs).sum() / (ours | theirs).sum() > 0.75


def test_a_tilted_head_is_set_upright(tmp_path: Path) -> None:
    picture = portraits.picture(PortraitName.HOPPER)
    size = (picture.shape[1], picture.shape[0])
    turn = cv2.getRotationMatrix2D((size[0] / 2, size[1] / 2), 12.0, 1.0)
    tilted = np.asarray(cv2.warpAffine(picture, turn, size, borderMode=cv2.BORDER_REPLICATE), np.uint8)
    eyes = from_file(save(tmp_path, tilted)).landmarks[[33, 263], :2]
    slope = np.degrees(np.arctan2(eyes[1, 1] - eyes[0, 1], eyes[1, 0] - eyes[0, 0]))
    assert abs(float(slope)) < 3.0


def test_is_filmed_like_any_subject_and_its_path_is_nobody_s_business(saved: Path) -> None:
    subject = simulated(f"print:@{saved}", Camera(width=160, height=120, pace="fast"))
    assert subject.name == "simulated:print:picture"
    subject.open()
    assert subject.capture(np.zeros((120, 160, 3), np.uint8)) is not None
    subject.close()


def test_says_why_a_picture_can_not_serve(tmp_path: Path) -> None:
    astronaut = portraits.picture(PortraitName.COLLINS)
    hopper = portraits.picture(PortraitName.HOPPER)
    pair = np.hstack([cv2.resize(hopper, (512, 512)), cv2.resize(hopper, (512, 512))]).astype(np.uint8)
    pictures = {
        "shows no face": np.full((400, 400, 3), 127, np.uint8),
        "shows several faces": pair,
        "is too small": np.asarray(cv2.resize(astronaut, (256, 256)), np.uint8),
        "ends above the shoulders": hopper[:330],
    }
    for says, picture in pictures.items():
        from_file.cache_clear()
        with pytest.raises(UsageError, match=says):
            from_file(save(tmp_path, picture))
    with pytest.raises(UsageError, match="can't be read"):
        from_file(tmp_path / "absent.png")
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(UsageError, match="no picture"):
        from_file(tmp_path / "text.png")
