"""What to draw of a clip, and where to write it: the flags, as plain values.

    options = VisualiseOptions(outputs=frozenset({"video", "frames"}), mesh_alpha=0.7)
    recorded_options(options)["mesh_alpha"]        # 0.7, as report.json holds it

Covered by tests/test_visualise.py.
"""

from __future__ import annotations

import dataclasses
import json
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

from bodies import BodyOptions
from camera import View
from downloaders import DownloadOptions
from renderer import LIGHT_BLUE, Colour

# Options that say where things are, or how they are come by, but not what the result is.
_NOT_OF_THE_RESULT = frozenset({"output_dir", "video_dirs", "download", "codec_threads"})
MeshStyle = Literal["shaded", "parts", "normals", "depth", "wireframe", "speed"]


@dataclasses.dataclass(frozen=True)
class VisualiseOptions:
    """What to draw and where to write it.

    Attributes:
        output_dir: results go to `<output_dir>/<clip>/`.
        video: the clip's video file; None to look for it.
        video_dirs: folders to look in, recursively, after the pickle's own.
        download: how a clip that is in none of these is fetched.
        missing_video: whether a clip without a video fails or is drawn on a plain background.
        blank_size: columns, rows and frames per second of that background.
        body: where the mesh comes from.
        layout: the overlay alone; the input beside it; the released visualisation's six panels;
          or the overlay beside a view that circles the body.
        views: from where else the mesh is shown, for the layouts `side_by_side` and `summary`;
          None for what the layout has: none, and 60° to either side.
        show_hud: whether to write each frame's time, number, label and residual into it; None for
          wherever that covers nothing of the video, which is every layout but `overlay`.
        show_mesh: whether to draw the mesh.
        show_keypoints: whether to draw the 2D keypoints.
        keypoint_source: the file's, those regressed from the mesh, or both, the latter pale.
        mesh_style: see `mesh_styles`.
        mesh_colour: albedo, RGB in 0…1, where the style has one for the whole mesh.
        mesh_alpha: opacity of the mesh in 0…1.
        trail: names of joints, of `keypoints.JOINT_NAMES`, whose way a fading trail shows.
        renderer: `fast`, or `opendr` for the released visualisation's own.
        antialias: smooth outlines; the fast renderer alone can.
        camera_convention: see `camera.resolve_camera`.
        keypoint_units: see `camera.resolve_camera`.
        frames: every frame of the clip, or only the labelled ones.
        outputs: any of `video`, `frames` (a JPEG of each labelled frame), `poster` (one small JPEG
          that stands for the clip), `timelapse` (one still with several bodies), `gif` and `webp`
          (small previews that loop), `rrd` (a recording for the rerun viewer) and
          `exports.EXPORTS`.
        timelapse_bodies: how many bodies the time-lapse has.
        export_frames: which labels become `obj` and `ply`; see `export_meshes.chosen_rows`.
        video_crf: x264's constant rate factor.
        codec_threads: of the video's decoder and of its encoder; 0 for as many as serve best.
    """

    output_dir: Path = Path("results")
    video: Path | None = None
    video_dirs: tuple[Path, ...] = ()
    download: DownloadOptions = dataclasses.field(default_factory=DownloadOptions)
    missing_video: Literal["fail", "blank"] = "fail"
    blank_size: tuple[int, int, Fraction] = (640, 360, Fraction(25))
    body: BodyOptions = dataclasses.field(default_factory=BodyOptions)
    layout: Literal["overlay", "side_by_side", "summary", "turntable"] = "overlay"
    views: tuple[View, ...] | None = None
    show_hud: bool | None = None
    show_mesh: bool = True
    show_keypoints: bool = True
    keypoint_source: Literal["file", "model", "both"] = "file"
    mesh_style: MeshStyle = "shaded"
    mesh_colour: Colour = LIGHT_BLUE
    mesh_alpha: float = 1.0
    trail: tuple[str, ...] = ()
    renderer: Literal["fast", "opendr"] = "fast"
    antialias: bool = False
    camera_convention: Literal["auto", "inside", "outside"] = "auto"
    keypoint_units: Literal["auto", "height", "frame"] = "auto"
    frames: Literal["all", "labelled"] = "all"
    outputs: frozenset[str] = frozenset({"video"})
    timelapse_bodies: int = 6
    export_frames: tuple[str, ...] = ("middle",)
    video_crf: int = 20
    codec_threads: int = 0


def recorded_options(options: VisualiseOptions) -> dict[str, Any]:
    """The options that shape a result, as plain values that JSON can hold."""
    plain: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(options), default=_plain))
    del plain["body"]["cache_dir"]
    return {name: value for name, value in plain.items() if name not in _NOT_OF_THE_RESULT}


def _plain(value: object) -> object:
    return sorted(value) if isinstance(value, frozenset) else str(value)
