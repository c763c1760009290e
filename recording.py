"""A clip as a recording of the rerun viewer: video, keypoints, body and curves on one timeline.

    with open_recording(Path("clip.rrd"), scene, properties) as record:
        for frame, row in LabelMatcher(scene.annotations.time).match(reader.frames()):
            record(frame, row)                     # before anything is drawn into the frame

`viewer.py` opens it. Covered by tests/test_recording.py and tests/test_viewer_in_browser.py.
"""

from __future__ import annotations

import contextlib
import dataclasses
import tempfile
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import av
import numpy as np
import numpy.typing as npt

from annotations import NUM_KEYPOINTS
from camera import SHARED_WITH_SMPL
from errors import OutputError
from keypoints import JOINT_NAMES, LIMBS, side_colour
from measures import label_jitter_mm
from renderer import LIGHT_BLUE, Colour, vertex_normals
from scene import ClipScene
from video_io import VideoFrame, VideoProperties, VideoWriter
from viewer import load_rerun

Array = npt.NDArray[Any]

APPLICATION = "temporal-3d-pose-kinetics"
TIME, FRAME = "time", "frame"
VIDEO, LABEL = "video", "label"
KEYPOINTS, BODY = f"{LABEL}/keypoints", f"{LABEL}/body"
RESIDUAL, JITTER, SCALE = f"{LABEL}/residual", f"{LABEL}/jitter", f"{LABEL}/scale"

_CURVES = {
    RESIDUAL: ("Residual: 3D to 2D joints, px", (255, 170, 60)),
    JITTER: ("Jitter: joint acceleration, mm/frame²", (235, 110, 170)),
    SCALE: ("Camera scale, px/m", (110, 190, 255)),
}
_MESH_OPACITY = 150  # of 255: the skeleton inside is seen
_JOINT_RADIUS_M, _LIMB_RADIUS_M = 0.022, 0.01
_JOINT_RADIUS_UI, _LIMB_RADIUS_UI = 3.5, 1.5
_EYE = np.array([0.36, -0.16, -0.8])  # a little beside the camera and above it; times the size
_PLAYED_FORMATS = ("yuv420p", "yuvj420p")  # what browsers decode of H.264
_FRAMES_HELD = 12  # before they are written: few large pieces load faster than many small ones
_NORMAL_STEPS = 64  # to 1: no eye sees it, and the file needs half as much for normals
_SAME_TIME_NS = 1_000_000
_CRF = 18


@contextlib.contextmanager
def open_recording(
    path: Path, scene: ClipScene, properties: VideoProperties, mesh_colour: Colour = LIGHT_BLUE
) -> Iterator[Callable[[VideoFrame, int | None], None]]:
    """Writes one clip's `.rrd`; the block is given the function that takes the frames.

    That function takes every frame of the clip in order, not yet drawn on, and the row of its
    label or None. The recording holds, on the timelines `time` (seconds since the clip's first
    frame) and `frame` (0 upward):

    - `video`: the clip.
    - `label/keypoints`: the file's 2D keypoints and their limbs, in pixels. The viewer counts from
      the picture's corner, so half a pixel is added to ours, which count from a pixel's centre.
    - `label/body`: the mesh and the skeleton of the file's 3D joints, in metres and camera axes:
      x right, y down, z away.
    - `label/residual`: median distance between projected 3D joints and 2D keypoints, in pixels;
      `label/jitter`: see `measures.label_jitter_mm`; `label/scale`: the camera's, pixels per metre.

    A label stands at the time of the frame that it belongs to; a frame without one shows none.

    Args:
        path: the file to write.
        scene: what is to be shown.
        properties: the clip's.
        mesh_colour: albedo, RGB in 0…1.

    Raises:
        MissingDependencyError: rerun is not installed.
        OutputError: the file cannot be written, for instance because the disk is full.
    """
    rr = load_rerun()
    with contextlib.ExitStack() as stack:
        stream = rr.RecordingStream(APPLICATION)
        stack.callback(stream.disconnect)
        with _writing(path):
            stream.save(path)
        video = stack.enter_context(_clip_video(rr, properties))
        recording = _Recording(rr, stream, path, scene, mesh_colour)

        def record(frame: VideoFrame, row: int | None) -> None:
            video.add(frame)
            recording.add(frame.time, row)

        yield record
        recording.finish(video.content())


class _Recording:
    """What is known of a clip, as rerun's entities."""

    def __init__(
        self, rr: Any, stream: Any, path: Path, scene: ClipScene, mesh_colour: Colour
    ) -> None:
        self._rr, self._stream, self._path = rr, stream, path
        self._scene = scene
        self._joints = skeleton(scene)
        self._residuals = _median_of_known(scene.camera.residuals_px)
        self._times: list[int] = []
        self._rows: list[int | None] = []
        stream.set_log_time_enabled(False)  # a third timeline, of when this was written
        stream.send_recording_name(scene.name)
        stream.send_blueprint(self._blueprint())
        stream.log(BODY, rr.ViewCoordinates.RDF, static=True)
        if scene.body.faces is not None:
            albedo = [*(round(255 * part) for part in mesh_colour), _MESH_OPACITY]
            mesh = rr.Mesh3D.from_fields(triangle_indices=scene.body.faces, albedo_factor=albedo)
            stream.log(f"{BODY}/mesh", mesh, static=True)
        for entity, (name, colour) in _CURVES.items():
            style = rr.SeriesLines(colors=[colour], names=[name], widths=[2])
            stream.log(entity, style, static=True)

    def add(self, time: Fraction, row: int | None) -> None:
        nanoseconds = round(time * 1_000_000_000)
        self._stream.set_time(TIME, duration=np.timedelta64(nanoseconds, "ns"))
        self._stream.set_time(FRAME, sequence=len(self._times))
        if row is not None:
            self._log_keypoints(row)
            self._log_body(row)
        elif self._rows and self._rows[-1] is not None:
            self._stream.log(LABEL, self._rr.Clear(recursive=True))
        self._times.append(nanoseconds)
        self._rows.append(row)
        if len(self._rows) % _FRAMES_HELD == 0:
            self._flush()

    def finish(self, video: bytes) -> None:
        self._log_curves()
        self._log_video(video)
        self._flush()

    def _flush(self) -> None:
        with _writing(self._path):
            self._stream.flush()

    def _log_keypoints(self, row: int) -> None:
        rr = self._rr
        points = self._scene.camera.keypoints_px[row] + 0.5
        joints, limbs = _drawn(points)
        dots = rr.Points2D(
            points[joints],
            radii=rr.Radius.ui_points(_JOINT_RADIUS_UI),
            colors=_colours(joints),
            labels=_names(joints),
            show_labels=False,
            draw_order=2,
        )
        lines = rr.LineStrips2D(
            points[limbs],
            radii=rr.Radius.ui_points(_LIMB_RADIUS_UI),
            colors=_colours(limbs[:, 0]),
            draw_order=1,
        )
        self._stream.log(f"{KEYPOINTS}/joints", dots)
        self._stream.log(f"{KEYPOINTS}/limbs", lines)

    def _log_body(self, row: int) -> None:
        rr = self._rr
        points = self._joints[row]
        joints, limbs = _drawn(points)
        dots = rr.Points3D(
            points[joints],
            radii=_JOINT_RADIUS_M,
            colors=_colours(joints),
            labels=_names(joints),
            show_labels=False,
        )
        lines = rr.LineStrips3D(points[limbs], radii=_LIMB_RADIUS_M, colors=_colours(limbs[:, 0]))
        self._stream.log(f"{BODY}/joints", dots)
        self._stream.log(f"{BODY}/limbs", lines)
        vertices, faces = self._scene.body.vertices, self._scene.body.faces
        if vertices is None or faces is None:
            return
        normals = vertex_normals(vertices[row], faces)
        mesh = rr.Mesh3D.from_fields(
            vertex_positions=vertices[row],
            vertex_normals=np.round(normals * _NORMAL_STEPS) / _NORMAL_STEPS,
        )
        self._stream.log(f"{BODY}/mesh", mesh)

    def _log_curves(self) -> None:
        camera, annotations = self._scene.camera, self._scene.annotations
        curves = {
            RESIDUAL: self._residuals,
            JITTER: label_jitter_mm(annotations.time, annotations.joints_3d),
            SCALE: camera.cameras_px[:, 0],
        }
        for entity, of_row in curves.items():
            values = np.array([np.nan if row is None else of_row[row] for row in self._rows])
            known = np.isfinite(values)
            # A frame without a value is an empty row, which interrupts the line.
            columns = self._rr.Scalars.columns(scalars=values[known])
            self._stream.send_columns(entity, self._indexes(), columns.partition(known.astype(int)))

    def _log_video(self, content: bytes) -> None:
        rr = self._rr
        asset = rr.AssetVideo(contents=content, media_type="video/mp4")
        self._stream.log(VIDEO, asset, static=True)
        shown = np.sort(asset.read_frame_timestamps_nanos())
        times = np.array(self._times)
        references = shown[_nearest(shown - shown[0], times - times[0])]
        columns = rr.VideoFrameReference.columns_nanos(references)
        self._stream.send_columns(VIDEO, self._indexes(), columns)

    def _indexes(self) -> list[Any]:
        times = np.array(self._times, "timedelta64[ns]")
        return [
            self._rr.TimeColumn(TIME, duration=times),
            self._rr.TimeColumn(FRAME, sequence=np.arange(len(times))),
        ]

    def _blueprint(self) -> Any:
        """Video and body side by side, the curves below them, the time below all; it plays."""
        rrb = self._rr.blueprint
        width, height = self._scene.width, self._scene.height
        video = rrb.Spatial2DView(
            origin="/",
            contents=[f"/{VIDEO}", f"/{KEYPOINTS}/**"],
            name="Video and 2D keypoints",
            visual_bounds=rrb.VisualBounds2D(x_range=[0, width], y_range=[0, height]),
        )
        most = np.nanmax(self._residuals, initial=1.0)  # thousandths of a pixel are no mountains
        axes = {RESIDUAL: rrb.ScalarAxis(range=(-0.1 * most, 1.1 * most))}
        no_legend = rrb.PlotLegend(visible=False)
        curves = [
            rrb.TimeSeriesView(
                origin=f"/{entity}", name=name, plot_legend=no_legend, axis_y=axes.get(entity)
            )
            for entity, (name, _) in _CURVES.items()
        ]
        share = min(max(width / height, 0.6), 1.6)
        return rrb.Blueprint(
            rrb.Vertical(
                rrb.Horizontal(video, self._body_view(), column_shares=[share, 1]),
                rrb.Horizontal(*curves),
                row_shares=[3, 1],
            ),
            rrb.BlueprintPanel(state="collapsed"),
            rrb.SelectionPanel(state="collapsed"),
            rrb.TimePanel(state="collapsed", timeline=TIME, play_state="playing", loop_mode="all"),
            auto_views=False,
        )

    def _body_view(self) -> Any:
        rrb = self._rr.blueprint
        vertices = self._scene.body.vertices
        points = (self._joints if vertices is None else vertices).reshape(-1, 3)
        points = points[np.isfinite(points).all(1)]
        low, high = (points.min(0), points.max(0)) if len(points) else (-np.ones(3), np.ones(3))
        centre, size = (low + high) / 2, np.linalg.norm(high - low)
        ground = self._rr.components.Plane3D([0, -1, 0], -high[1])
        return rrb.Spatial3DView(
            origin=f"/{BODY}",
            name="Body: drag to turn it",
            line_grid=rrb.LineGrid3D(plane=ground, spacing=0.25),
            eye_controls=rrb.EyeControls3D(
                position=centre + size * _EYE, look_target=centre, eye_up=[0, -1, 0]
            ),
        )


def skeleton(scene: ClipScene) -> Array:
    """(N, 19, 3) metres: the file's 3D joints as the cocoplus joints; NaN where it has them not."""
    given = scene.annotations.joints_3d
    if scene.camera.joint_set == "cocoplus":
        return given[:, :NUM_KEYPOINTS]
    joints = np.full((len(given), NUM_KEYPOINTS, 3), np.nan)
    joints[:, SHARED_WITH_SMPL[:, 1]] = given[:, SHARED_WITH_SMPL[:, 0]]
    return joints


def _drawn(points: Array) -> tuple[Array, Array]:
    """The joints that are known, and (L, 2) the limbs between two of them."""
    known = np.asarray(np.isfinite(points).all(1))
    limbs = np.array(LIMBS)
    return np.flatnonzero(known), limbs[known[limbs].all(1)]


def _colours(joints: Array) -> list[tuple[int, int, int]]:
    return [side_colour(int(joint)) for joint in joints]


def _names(joints: Array) -> list[str]:
    return [JOINT_NAMES[joint] for joint in joints]


def _median_of_known(rows: Array) -> Array:
    """(N, J) to (N,); NaN where a row has no finite number."""
    known = [row[np.isfinite(row)] for row in rows]
    return np.array([np.median(row) if len(row) else np.nan for row in known])


def _nearest(ascending: Array, wanted: Array) -> Array:
    """For each of `wanted` the index of the nearest in `ascending`."""
    between = (ascending[1:] + ascending[:-1]) / 2
    indexes: Array = np.searchsorted(between, wanted)
    return indexes


@contextlib.contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:  # rerun has no class of its own for a disk that is full
        raise OutputError(
            f"{path}: cannot be written: {error}; give a folder with space and write permission "
            "with --output_dir"
        ) from error


# The video


class _Video(NamedTuple):
    """Takes the clip's frames, and gives the clip as an mp4 at the end."""

    add: Callable[[VideoFrame], None]
    content: Callable[[], bytes]


@contextlib.contextmanager
def _clip_video(rr: Any, properties: VideoProperties) -> Iterator[_Video]:
    """The clip's own file where viewers and browsers play it as it is, else it is encoded anew."""
    own_file = properties.path
    if own_file is not None and _is_played_as_it_is(rr, own_file, properties):
        yield _Video(lambda _: None, own_file.read_bytes)
        return
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as writing:
        path = Path(folder) / "clip.mp4"
        silent = dataclasses.replace(properties, path=None)
        writer = writing.enter_context(VideoWriter(path, silent, _CRF))

        def content() -> bytes:
            writing.close()
            return path.read_bytes()

        yield _Video(writer.write, content)


def _is_played_as_it_is(rr: Any, path: Path, properties: VideoProperties) -> bool:
    """Whether it is the clip alone, H.264 in an mp4, and rerun finds the same frames as we do."""
    if properties.start_sec or properties.end_sec is not None:
        return False
    try:
        ours = _frame_times(path)
        theirs = rr.AssetVideo(path=path, media_type="video/mp4").read_frame_timestamps_nanos()
    except (av.FFmpegError, RuntimeError):  # damaged, or of a kind that rerun cannot read
        return False
    if not len(ours) or len(ours) != len(theirs):
        return False
    apart = (np.sort(theirs) - theirs.min()) - (np.sort(ours) - ours.min())
    return bool(np.abs(apart).max() < _SAME_TIME_NS)


def _frame_times(path: Path) -> Array:
    """Nanoseconds, not in order; none where players would show other pictures than our reader."""
    with av.open(str(path.absolute()), metadata_errors="replace") as container:
        stream = container.streams.video[0]
        context = stream.codec_context
        is_mp4 = "mp4" in container.format.name.split(",")
        if not is_mp4 or context.name != "h264" or context.pix_fmt not in _PLAYED_FORMATS:
            return np.empty(0, np.int64)
        times, first = [], None
        for packet in container.demux(stream):
            if first is None:
                first = next(iter(packet.decode()), None)
            if packet.size:
                if packet.pts is None or packet.is_discard:
                    return np.empty(0, np.int64)
                times.append(packet.pts)
        if first is None or first.rotation or first.pts != min(times):
            return np.empty(0, np.int64)
        seconds = stream.time_base or Fraction(0)
        return np.array([round(ticks * seconds * 1_000_000_000) for ticks in times], np.int64)
