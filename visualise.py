"""One clip, from its pickle to a video that shows what the pickle says.

    report = visualise_clip(Path("KV4jIAq3WJo_155_165.pkl"), VisualiseOptions())
    report.status, report.residual_px          # "ok", {"median": 0.0, "max": 0.1}

Covered by tests/test_visualise.py.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy.typing as npt

from annotations import ClipAnnotations, read_annotations
from bodies import BodyOptions, ClipBody, resolve_body
from camera import ResolvedCamera, resolve_camera
from clip_names import ClipName, parse_clip_name
from colour import joined
from downloaders import DownloadOptions
from errors import (
    AnnotationError,
    BodyModelError,
    DownloadError,
    OutputError,
    VideoNotFoundError,
    VideoReadError,
)
from files import make_folder, whole_file, whole_folder
from keypoints import BY_SIDE, PALE, Palette, draw_keypoints, keypoint_bounds, stroke_unit
from kinetics_download import get_video
from labels import LabelMatcher
from layouts import Timeline, draw_unlabelled_mark, mark_bounds
from local_videos import LocalVideo
from opendr_renderer import OpenDRRenderer
from pipeline import BackgroundCalls, in_background
from renderer import LIGHT_BLUE, Colour, FastRenderer, MeshRenderer, mesh_bounds
from video_io import BlankVideo, VideoFrame, VideoReader, VideoWriter

Array = npt.NDArray[Any]
Progress = Callable[[int, int], None]

_JPEG_QUALITY = 95
_SHORTER_SEC = 0.5  # copies of Kinetics end a few frames early or late


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
        show_mesh: whether to draw the mesh.
        show_keypoints: whether to draw the 2D keypoints.
        keypoint_source: the file's, those regressed from the mesh, or both, the latter pale.
        mesh_colour: albedo, RGB in 0…1.
        mesh_alpha: opacity of the mesh in 0…1.
        renderer: `fast`, or `opendr` for the released visualisation's own.
        antialias: smooth outlines; the fast renderer alone can.
        camera_convention: see `camera.resolve_camera`.
        keypoint_units: see `camera.resolve_camera`.
        frames: every frame of the clip, or only the labelled ones.
        outputs: any of `video` and `frames` (a JPEG of each labelled frame).
        video_crf: x264's constant rate factor.
    """

    output_dir: Path = Path("results")
    video: Path | None = None
    video_dirs: tuple[Path, ...] = ()
    download: DownloadOptions = dataclasses.field(default_factory=DownloadOptions)
    missing_video: Literal["fail", "blank"] = "fail"
    blank_size: tuple[int, int, Fraction] = (640, 360, Fraction(25))
    body: BodyOptions = dataclasses.field(default_factory=BodyOptions)
    show_mesh: bool = True
    show_keypoints: bool = True
    keypoint_source: Literal["file", "model", "both"] = "file"
    mesh_colour: Colour = LIGHT_BLUE
    mesh_alpha: float = 1.0
    renderer: Literal["fast", "opendr"] = "fast"
    antialias: bool = False
    camera_convention: Literal["auto", "inside", "outside"] = "auto"
    keypoint_units: Literal["auto", "height", "frame"] = "auto"
    frames: Literal["all", "labelled"] = "all"
    outputs: frozenset[str] = frozenset({"video"})
    video_crf: int = 20


@dataclasses.dataclass
class ClipReport:
    """What was done with one clip, as `report.json` holds it; None for what is not known."""

    clip: str
    status: Literal["ok", "failed"] = "failed"
    video_id: str | None = None
    start_sec: int | None = None
    end_sec: int | None = None
    video_source: str | None = None
    width: int | None = None
    height: int | None = None
    frame_rate: str | None = None
    frames_total: int = 0
    frames_labelled: int = 0
    frames_drawn: int = 0
    labels_dropped: int = 0
    camera_convention: str | None = None
    keypoint_units: str | None = None
    residual_px: dict[str, float | None] = dataclasses.field(
        default_factory=lambda: {"median": None, "max": None}
    )
    vertices_source: str | None = None
    renderer: str | None = None
    seconds: float = 0.0
    warnings: list[str] = dataclasses.field(default_factory=list)
    error: dict[str, str] | None = None


def visualise_clip(
    pickle_path: Path, options: VisualiseOptions, progress: Progress | None = None
) -> ClipReport:
    """Draws one clip and writes `<output_dir>/<clip>/`, with a `report.json` in any case.

    Args:
        pickle_path: one pickle of the dataset.
        options: what to draw and where to write it.
        progress: called with the number of frames done and the number expected.

    Raises:
        PoseKineticsError: the clip could not be drawn; the report says so too.
    """
    started = time.monotonic()
    report = ClipReport(clip=pickle_path.name.removesuffix(".pkl"))
    if report.clip in {"", ".", ".."}:  # no name for a folder: the report would land elsewhere
        parse_clip_name(report.clip)
    folder = options.output_dir / report.clip
    try:
        _visualise(pickle_path, folder, options, report, progress)
        report.status = "ok"
    except Exception as error:
        report.error = {"type": type(error).__name__, "message": str(error)}
        raise
    finally:
        report.seconds = round(time.monotonic() - started, 3)
        with _unless_it_hides_another_error(report):
            _write_report(report, folder / "report.json")
    return report


def _visualise(
    pickle_path: Path,
    folder: Path,
    options: VisualiseOptions,
    report: ClipReport,
    progress: Progress | None,
) -> None:
    """The way of the data: pickle → video → camera → picture → file."""
    if not pickle_path.exists():
        raise AnnotationError(f"{pickle_path}: No such file; expected a pickle of the dataset")
    clip = parse_clip_name(report.clip)
    report.video_id, report.start_sec, report.end_sec = dataclasses.astuple(clip)
    annotations = read_annotations(pickle_path)
    report.warnings += annotations.warnings
    body = _resolve_body(annotations, pickle_path, options, report)
    make_folder(folder)
    with _open_video(clip, pickle_path, options, report) as reader:
        resolved = _resolve_camera(annotations, reader, options, report)
        width, height = reader.properties.width, reader.properties.height
        duration = reader.properties.duration or clip.duration_sec
        timeline = Timeline(width, height, annotations.time, duration)
        stroke = stroke_unit(width, height)
        painter = _Painter(body, resolved, timeline, stroke, options)
        report.renderer = painter.renderer_name
        matcher = LabelMatcher(annotations.time)
        expected = round(duration * reader.properties.frame_rate)
        with (
            _outputs(folder, reader, options) as (write_video, write_jpeg),
            in_background(reader.frames()) as frames,
        ):
            for frame, row in matcher.match(frames):
                report.frames_total += 1
                if row is not None:
                    painter.paint_body(frame, row)
                    report.frames_drawn += 1
                    write_jpeg(frame, row)
                if row is not None or options.frames == "all":
                    painter.paint_time(frame, row)
                    write_video(frame)
                if progress is not None:
                    progress(report.frames_total, max(expected, report.frames_total))
            report.frames_labelled = matcher.matched
            report.labels_dropped = matcher.dropped
            _check_frames(report, reader)
            if not report.frames_drawn:
                raise AnnotationError(
                    f"{pickle_path}: none of its {len(annotations)} labels falls into the video "
                    f"(0 to {duration:.2f} s); is it the right video, and is `time` in seconds?"
                )


class _Painter:
    """Draws what the pickle says of a frame into its picture."""

    def __init__(
        self,
        body: ClipBody,
        resolved: ResolvedCamera,
        timeline: Timeline,
        stroke: float,
        options: VisualiseOptions,
    ) -> None:
        self._resolved = resolved
        self._vertices = body.vertices if options.show_mesh else None
        self._renderer: MeshRenderer | None = None
        if self._vertices is not None and body.faces is not None:
            self._renderer = _make_renderer(body.faces, options)
        self._keypoints = _keypoints(body, resolved, options)
        self._colour = options.mesh_colour
        self._alpha = options.mesh_alpha
        self._stroke = stroke
        self._timeline = timeline

    @property
    def renderer_name(self) -> str | None:
        return None if self._renderer is None else self._renderer.name

    def paint_body(self, frame: VideoFrame, row: int) -> None:
        camera = self._resolved.camera(row)
        bounds = [keypoint_bounds(points[row], self._stroke) for points, _ in self._keypoints]
        if self._vertices is not None:
            bounds.append(mesh_bounds(self._vertices[row], camera))
        with frame.region(joined(bounds)) as (picture, left, top):
            if self._renderer is not None and self._vertices is not None:
                camera = camera.moved(-left, -top)
                self._renderer.draw(picture, self._vertices[row], camera, self._colour, self._alpha)
            for points, palette in self._keypoints:
                draw_keypoints(picture, points[row] - (left, top), self._stroke, palette)

    def paint_time(self, frame: VideoFrame, row: int | None) -> None:
        if row is None:
            with frame.region(mark_bounds(frame.width, self._stroke)) as (picture, _, _):
                draw_unlabelled_mark(picture, self._stroke)
        with frame.region(self._timeline.bounds) as (picture, _, _):
            self._timeline.draw(picture, float(frame.time))


def _make_renderer(faces: Array, options: VisualiseOptions) -> MeshRenderer:
    if options.renderer == "opendr":
        return OpenDRRenderer(faces)
    return FastRenderer(faces, options.antialias)


def _resolve_body(
    annotations: ClipAnnotations, pickle_path: Path, options: VisualiseOptions, report: ClipReport
) -> ClipBody:
    if not options.show_mesh and options.keypoint_source == "file":
        return ClipBody(None, None, None, None)
    body = resolve_body(annotations, pickle_path.parent, options.body)
    report.vertices_source = body.source
    if body.vertices is None:
        report.warnings.append(
            "no mesh: the pickle has no `vertices` (it is from the small archive); give a body "
            "model with --smpl_model to compute them"
        )
    return body


def _keypoints(
    body: ClipBody, resolved: ResolvedCamera, options: VisualiseOptions
) -> list[tuple[Array, Palette]]:
    """What to draw, in order: (N, 19, 2) pixels and how they are coloured."""
    drawn: list[tuple[Array, Palette]] = []
    if not options.show_keypoints:
        return drawn
    if options.keypoint_source != "file":
        if body.joints is None:
            raise BodyModelError(
                f"--keypoint_source={options.keypoint_source} needs a mesh and a joint regressor: "
                "give a model that has one with --smpl_model, or --joint_regressor"
            )
        palette = PALE if options.keypoint_source == "both" else BY_SIDE
        drawn.append((resolved.project(body.joints), palette))
    if options.keypoint_source != "model":
        drawn.append((resolved.keypoints_px, BY_SIDE))
    return drawn


def _open_video(
    clip: ClipName, pickle_path: Path, options: VisualiseOptions, report: ClipReport
) -> VideoReader | BlankVideo:
    try:
        video = _find_video(clip, pickle_path, options)
        report.video_source = str(video.path)
        report.warnings += video.warnings
        return VideoReader(video.path, video.start_sec, video.end_sec)
    except (DownloadError, VideoNotFoundError, VideoReadError) as error:
        if options.missing_video == "fail":
            raise
        report.warnings.append(f"drawn on a plain background: {error}")
        width, height, rate = options.blank_size
        return BlankVideo(width, height, rate, clip.duration_sec, f"No video. {error}")


def _find_video(clip: ClipName, pickle_path: Path, options: VisualiseOptions) -> LocalVideo:
    if options.video is None:
        return get_video(clip, pickle_path.parent, options.video_dirs, options.download)
    is_whole = options.video.stem == clip.video_id
    start, end = (clip.start_sec, clip.end_sec) if is_whole else (None, None)
    return LocalVideo(options.video, start, end, "--video")


def _resolve_camera(
    annotations: ClipAnnotations,
    reader: VideoReader | BlankVideo,
    options: VisualiseOptions,
    report: ClipReport,
) -> ResolvedCamera:
    properties = reader.properties
    resolved = resolve_camera(
        annotations,
        properties.width,
        properties.height,
        options.camera_convention,
        options.keypoint_units,
    )
    report.width, report.height = properties.width, properties.height
    rate = properties.frame_rate
    report.frame_rate = f"{rate.numerator}/{rate.denominator}"
    report.camera_convention = resolved.convention
    report.keypoint_units = resolved.keypoint_units
    report.residual_px = {
        "median": _rounded(resolved.residual_px_median),
        "max": _rounded(resolved.residual_px_max),
    }
    report.warnings += resolved.warnings
    return resolved


@contextlib.contextmanager
def _outputs(
    folder: Path, reader: VideoReader | BlankVideo, options: VisualiseOptions
) -> Iterator[tuple[Callable[[VideoFrame], None], Callable[[VideoFrame, int], None]]]:
    """Functions that write a frame of the video and a JPEG, or do nothing where not wanted."""
    with contextlib.ExitStack() as stack:
        write_video: Callable[[VideoFrame], None] = _write_nothing
        write_jpeg: Callable[[VideoFrame, int], None] = _write_nothing
        if "video" in options.outputs:
            path = stack.enter_context(whole_file(folder / f"{folder.name}.mp4"))
            writer = VideoWriter(path, reader.properties, options.video_crf)
            write_video = stack.enter_context(BackgroundCalls(stack.enter_context(writer).write))
        if "frames" in options.outputs:
            frames_folder = stack.enter_context(whole_folder(folder / "frames"))

            def write_jpeg(frame: VideoFrame, row: int) -> None:
                _write_jpeg(frames_folder / f"{row:04d}.jpg", frame.picture())

        yield write_video, write_jpeg


def _write_nothing(*_: object) -> None:
    pass


def _write_jpeg(path: Path, picture: Array) -> None:
    options = [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY]
    _, data = cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), options)
    path.write_bytes(data.tobytes())


def _check_frames(report: ClipReport, reader: VideoReader | BlankVideo) -> None:
    if report.frames_total == 0:
        raise VideoReadError(
            f"{reader.path}: holds no frame between {report.start_sec} s and {report.end_sec} s; "
            "is it the right video?"
        )
    expected = (report.end_sec or 0) - (report.start_sec or 0)
    if 0 < reader.properties.duration < expected - _SHORTER_SEC:
        report.warnings.append(
            f"the video lasts {reader.properties.duration:.2f} s; the clip's name says {expected} s"
        )
    if report.labels_dropped:
        report.warnings.append(
            f"labels that were not drawn: {report.labels_dropped}; they lie outside the video, or "
            "a frame had a nearer one"
        )
    if reader.undecodable_packets:
        report.warnings.append(
            f"{reader.undecodable_packets} packets of the video could not be decoded; their "
            "frames are missing"
        )


def _write_report(report: ClipReport, path: Path) -> None:
    with whole_file(path) as temporary:
        temporary.write_text(json.dumps(dataclasses.asdict(report), indent=2) + "\n")


@contextlib.contextmanager
def _unless_it_hides_another_error(report: ClipReport) -> Iterator[None]:
    """Where nothing can be written the clip's own error says so already."""
    try:
        yield
    except OutputError:
        if report.error is None:
            raise


def _rounded(pixels: float | None) -> float | None:
    return None if pixels is None else round(pixels, 3)
