from __future__ import annotations

import dataclasses
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import pytest
from scenes import part_of, sample_scene

from camera import WeakPerspectiveCamera
from errors import OptionError
from options import VisualiseOptions
from renderer import FastRenderer
from scene import ClipScene
from timelapse import Timelapse, evenly_spaced
from video_io import VideoFrame

Array = npt.NDArray[Any]

LIMITED_BT601 = np.array(
    [0.299, 0.587, 0.114, 16, 255 / 219, 255 / 224, 2 - 2 * 0.114, 2 - 2 * 0.299], np.float32
)
OFFSETS, SCALE = (110.0, 320.0, 530.0), 110.0


def still_bodies(*scales: float) -> ClipScene:
    """The same body three times, a second apart, side by side where the scales are the same."""
    scene = part_of(sample_scene(with_model=True), slice(0, 3), time=np.array([0.0, 1.0, 2.0]))
    vertices = np.repeat(scene.body.vertices[:1], 3, axis=0)  # type: ignore[index]  # it has them
    cameras = np.array([(s, x, 200.0) for s, x in zip(scales or [SCALE] * 3, OFFSETS, strict=True)])
    return dataclasses.replace(
        scene,
        body=dataclasses.replace(scene.body, vertices=vertices),
        camera=dataclasses.replace(scene.camera, cameras_px=cameras),
    )


def grey_frame(scene: ClipScene) -> VideoFrame:
    frame = VideoFrame(
        av.VideoFrame(scene.width, scene.height, "yuv420p"),
        (scene.width, scene.height),
        LIMITED_BT601,
        0,  # type: ignore[arg-type]  # whole seconds
        0,
        0,
    )
    for plane, value in zip(frame.planes, (110, 128, 128), strict=True):
        plane[:] = value
    return frame


def made(scene: ClipScene, **changes: Any) -> Array:
    timelapse = Timelapse(scene, VisualiseOptions(timelapse_bodies=3, **changes))
    for row in (None, 0, None, 1, 2):
        timelapse.take(grey_frame(scene), row)
    return timelapse.picture().astype(int)


def mask_of(scene: ClipScene, row: int) -> Array:
    """Where a body is drawn when it is drawn alone."""
    faces, vertices = scene.body.faces, scene.body.vertices
    assert faces is not None
    assert vertices is not None
    picture = np.zeros((scene.height, scene.width, 3), np.uint8)
    camera = WeakPerspectiveCamera(*scene.camera.cameras_px[row].tolist())
    FastRenderer(faces).draw(picture, vertices[row], camera, (1.0, 1.0, 1.0))
    mask: Array = np.asarray(picture.any(-1))
    return mask


def background(scene: ClipScene) -> int:
    return int(grey_frame(scene).picture()[0, 0, 0])


def test_each_body_is_at_its_own_frames_place() -> None:
    scene = still_bodies()
    changed = np.abs(made(scene) - background(scene)).max(-1) > 2
    for row in range(3):
        mask = mask_of(scene, row)
        assert mask.sum() > 1000
        assert changed[mask].mean() > 0.97, row
    union = np.any([mask_of(scene, row) for row in range(3)], axis=0)
    rows, columns = np.nonzero(changed & ~union)
    grown = np.zeros_like(union)
    for down in range(-5, 6):
        for right in range(-5, 6):
            grown |= np.roll(union, (down, right), (0, 1))
    assert grown[rows, columns].all()  # nothing but their soft edges


def test_they_fade_with_time() -> None:
    scene = still_bodies()
    picture, under = made(scene), background(scene)
    shares = [float(np.abs(picture - under)[mask_of(scene, row)].mean()) for row in range(3)]
    assert shares[0] < 0.6 * shares[1] + 0.4 * shares[2]
    assert shares[0] < shares[1] < shares[2]


@pytest.mark.parametrize("nearest", [0, 2])
def test_the_nearer_lie_in_front(nearest: int) -> None:
    """The nearest camera has the greatest scale; its body covers the others where they meet."""
    scales = [SCALE] * 3
    scales[nearest] = 1.2 * SCALE
    scene = still_bodies(*scales)
    cameras = scene.camera.cameras_px.copy()
    cameras[:, 1] = 320.0
    scene = dataclasses.replace(scene, camera=dataclasses.replace(scene.camera, cameras_px=cameras))
    order: list[int] = []
    timelapse = Timelapse(scene, VisualiseOptions(timelapse_bodies=3))
    for row in range(3):
        timelapse.take(grey_frame(scene), row)
    draw = timelapse._draw_body

    def watched(picture: Array, row: int, opacity: float) -> None:
        order.append(row)
        draw(picture, row, opacity)

    timelapse._draw_body = watched  # type: ignore[method-assign]  # to see in which order
    timelapse.picture()
    assert order[-1] == nearest
    assert sorted(order) == [0, 1, 2]


def test_the_chosen_labels_are_evenly_spaced() -> None:
    times = np.array([0.0, 0.1, 0.2, 0.3, 2.0, 2.1, 3.9, 4.0])
    assert evenly_spaced(times, 3) == [0, 4, 7]
    assert evenly_spaced(times, 1) == [7]
    assert evenly_spaced(times[:2], 6) == [0, 1]


def test_without_anything_to_draw_it_says_so() -> None:
    with pytest.raises(OptionError, match="noshow_keypoints"):
        Timelapse(still_bodies(), VisualiseOptions(show_mesh=False, show_keypoints=False))
