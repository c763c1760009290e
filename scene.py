"""A clip with everything settled: body, camera, keypoints and the video's own measures.

Made once per clip; layouts draw it frame by frame and exports write it down.
"""

from __future__ import annotations

import dataclasses
from fractions import Fraction
from pathlib import Path

from annotations import ClipAnnotations
from bodies import ClipBody
from camera import ResolvedCamera


@dataclasses.dataclass(frozen=True)
class ClipScene:
    """What is known of a clip before its first frame is drawn.

    Attributes:
        name: `<video_id>_<start>_<end>`.
        annotations: the pickle's arrays, one row per labelled frame.
        body: mesh and regressed joints of the same rows.
        camera: cameras and keypoints of the same rows, in pixels.
        width: columns of the upright picture.
        height: rows of the upright picture.
        frame_rate: frames per second, exact.
        duration: seconds of the clip.
        video: the clip's file; None where it is drawn on a plain background.
    """

    name: str
    annotations: ClipAnnotations
    body: ClipBody
    camera: ResolvedCamera
    width: int
    height: int
    frame_rate: Fraction
    duration: float
    video: Path | None
