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
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy.typing as npt

from annotations import ClipAnnotations, parse_annotations
from camera import ResolvedCamera, resolve_camera
from clip_names import ClipName, parse_clip_name
from colour import joined
from errors import AnnotationError, OutputError, VideoReadError
from faces import load_faces
from files import make_folder, whole_file, whole_folder
from inputs import ClipSource, file_stamp, pickle_stamp
from keypoints import draw_keypoints, keypoint_bounds, stroke_unit
from labels import LabelMatcher
from layouts import Timeline, draw_unlabelled_mark, mark_bounds
from local_videos import LocalVideo, find_local_video, video_not_found
from measures import joint_acceleration, person_size
from pipeline import BackgroundCalls, in_background
from renderer import LIGHT_BLUE, Colour, FastRenderer, MeshRenderer, mesh_bounds
from video_io import VideoFrame, VideoReader, VideoWriter

Array = npt.NDArray[Any]
Progress = Callable[[int, int], None]

VERSION = "0.1.0"
FACES_FILE = "smpl_faces.npy"
REPORT_FILE = "report.json"
POSTER_FILE = "poster.jpg"
_JPEG_QUALITY = 95
_POSTER_QUALITY = 80
_POSTER_SIDE = 384  # pixels of the longer side
# Options that say where things are, or how, but not what the result is.
_NOT_OF_THE_RESULT = frozenset({"output_dir", "video_dirs", "encoder_threads"})
_SHORTER_SEC = 0.5  # copies of Kinetics end a few frames early or late


@dataclasses.dataclass(frozen=True)
class VisualiseOptions:
    """What to draw and where to write it.

    Attributes:
        output_dir: results go to `<output_dir>/<clip>/`.
        video: the clip's video file; None to look for it.
        video_dirs: folders to look in, recursively, after the pickle's own.
        faces_path: (F, 3) triangles as `.npy`; None for `smpl_faces.npy` beside the pickle, else
          in the working folder.
        show_mesh: whether to draw the mesh.
        show_keypoints: whether to draw the 2D keypoints.
        mesh_colour: albedo, RGB in 0…1.
        mesh_alpha: opacity of the mesh in 0…1.
        camera_convention: see `camera.resolve_camera`.
        keypoint_units: see `camera.resolve_camera`.
        frames: every frame of the clip, or only the labelled ones.
        outputs: any of `video`, `frames` (a JPEG of each labelled frame) and `poster` (one small
          JPEG that stands for the clip).
        video_crf: x264's constant rate factor.
        encoder_threads: x264's threads; 0 leaves their number to x264.
    """

    output_dir: Path = Path("results")
    video: Path | None = None
    video_dirs: tuple[Path, ...] = ()
    faces_path: Path | None = None
    show_mesh: bool = True
    show_keypoints: bool = True
    mesh_colour: Colour = LIGHT_BLUE
    mesh_alpha: float = 1.0
    camera_convention: Literal["auto", "inside", "outside"] = "auto"
    keypoint_units: Literal["auto", "height", "frame"] = "auto"
    frames: Literal["all", "labelled"] = "all"
    outputs: frozenset[str] = frozenset({"video"})
    video_crf: int = 20
    encoder_threads: int = 0


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
    joint_acceleration: float | None = None
    person_size: float | None = None
    renderer: str | None = None
    version: str = VERSION
    options: dict[str, Any] = dataclasses.field(default_factory=dict)
    inputs: dict[str, dict[str, Any] | None] = dataclasses.field(default_factory=dict)
    outputs: dict[str, int] = dataclasses.field(default_factory=dict)
    seconds: float = 0.0
    warnings: list[str] = dataclasses.field(default_factory=list)
    error: dict[str, str] | None = None


def visualise_clip(
    source: ClipSource | Path, options: VisualiseOptions, progress: Progress | None = None
) -> ClipReport:
    """Draws one clip and writes `<output_dir>/<clip>/`, with a `report.json` in any case.

    Args:
        source: one pickle of the dataset: its path, or itself where it is in an archive.
        options: what to draw and where to write it.
        progress: called with the number of frames done and the number expected.

    Raises:
        PoseKineticsError: the clip could not be drawn; the report says so too.
    """
    started = time.monotonic()
    if isinstance(source, Path):
        source = ClipSource(source)
    report = ClipReport(clip=source.clip, options=recorded_options(options))
    if report.clip in {"", ".", ".."}:  # no name for a folder: the report would land elsewhere
        parse_clip_name(report.clip)
    report.inputs["pickle"] = pickle_stamp(source, None)
    folder = options.output_dir / report.clip
    try:
        _visualise(source, folder, options, report, progress)
        report.outputs = _sizes(folder, options)
        report.status = "ok"
    except Exception as error:
        report.error = {"type": type(error).__name__, "message": str(error)}
        raise
    finally:
        report.seconds = round(time.monotonic() - started, 3)
        with _unless_it_hides_another_error(report):
            write_report(report, folder / REPORT_FILE)
    return report


def recorded_options(options: VisualiseOptions) -> dict[str, Any]:
    """The options that shape a result, as `report.json` holds them."""
    plain: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(options), default=_plain))
    return {name: value for name, value in plain.items() if name not in _NOT_OF_THE_RESULT}


def _plain(value: object) -> object:
    return sorted(value) if isinstance(value, frozenset) else str(value)


def _sizes(folder: Path, options: VisualiseOptions) -> dict[str, int]:
    """What was written: bytes of each file, and the number of files in a folder."""
    names = {"video": f"{folder.name}.mp4", "poster": POSTER_FILE, "frames": "frames"}
    wanted = [folder / name for kind, name in names.items() if kind in options.outputs]
    return {path.name: size for path in wanted if (size := output_size(path)) is not None}


def output_size(path: Path) -> int | None:
    """Bytes of a file, the number of files in a folder; None where there is neither."""
    try:
        return len(list(path.iterdir())) if path.is_dir() else path.stat().st_size
    except OSError:
        return None


def _visualise(
    source: ClipSource,
    folder: Path,
    options: VisualiseOptions,
    report: ClipReport,
    progress: Progress | None,
) -> None:
    """The way of the data: pickle → video → camera → picture → file."""
    clip = parse_clip_name(report.clip)
    report.video_id, report.start_sec, report.end_sec = dataclasses.astuple(clip)
    annotations = _annotations(source, report)
    renderer = _renderer(annotations, source.folder, options, report)
    video = _find_video(clip, source.folder, options, report)
    make_folder(folder)
    (folder / REPORT_FILE).unlink(missing_ok=True)  # it spoke for files that are replaced below
    with VideoReader(video.path, video.start_sec, video.end_sec) as reader:
        resolved = _resolve_camera(annotations, reader, options, report)
        width, height = reader.properties.width, reader.properties.height
        duration = reader.properties.duration or clip.duration_sec
        timeline = Timeline(width, height, annotations.time, duration)
        stroke = stroke_unit(width, height)
        painter = _Painter(annotations, resolved, renderer, timeline, stroke, options)
        matcher = LabelMatcher(annotations.time)
        expected = round(duration * reader.properties.frame_rate)
        poster = _Poster(len(annotations))
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
                    if "poster" in options.outputs:
                        poster.offer(frame, row)
                    write_video(frame)
                if progress is not None:
                    progress(report.frames_total, max(expected, report.frames_total))
            report.frames_labelled = matcher.matched
            report.labels_dropped = matcher.dropped
            _check_frames(report, reader)
            if options.frames == "labelled" and not report.frames_drawn:
                raise AnnotationError(
                    f"{source.name}: none of its {len(annotations)} labels falls into the video "
                    f"(0 to {duration:.2f} s); draw the video without them with --frames=all"
                )
            if "poster" in options.outputs:
                poster.write(folder / POSTER_FILE)


def _annotations(source: ClipSource, report: ClipReport) -> ClipAnnotations:
    data = source.read()
    report.inputs["pickle"] = pickle_stamp(source, data)
    annotations = parse_annotations(data, source.name)
    report.warnings += annotations.warnings
    report.joint_acceleration = _rounded(
        joint_acceleration(annotations.time, annotations.joints_3d)
    )
    return annotations


class _Painter:
    """Draws what the pickle says of a frame into its picture."""

    def __init__(
        self,
        annotations: ClipAnnotations,
        resolved: ResolvedCamera,
        renderer: MeshRenderer | None,
        timeline: Timeline,
        stroke: float,
        options: VisualiseOptions,
    ) -> None:
        self._vertices = annotations.vertices
        self._resolved = resolved
        self._renderer = renderer
        self._show_keypoints = options.show_keypoints
        self._colour = options.mesh_colour
        self._alpha = options.mesh_alpha
        self._stroke = stroke
        self._timeline = timeline

    def paint_body(self, frame: VideoFrame, row: int) -> None:
        camera, keypoints = self._resolved.camera(row), self._resolved.keypoints_px[row]
        bounds = keypoint_bounds(keypoints, self._stroke)
        if self._vertices is not None:
            bounds = joined(bounds, mesh_bounds(self._vertices[row], camera))
        with frame.region(bounds) as (picture, left, top):
            if self._renderer is not None and self._vertices is not None:
                camera = camera.moved(-left, -top)
                self._renderer.draw(picture, self._vertices[row], camera, self._colour, self._alpha)
            if self._show_keypoints:
                draw_keypoints(picture, keypoints - (left, top), self._stroke)

    def paint_time(self, frame: VideoFrame, row: int | None) -> None:
        if row is None:
            with frame.region(mark_bounds(frame.width, self._stroke)) as (picture, _, _):
                draw_unlabelled_mark(picture, self._stroke)
        with frame.region(self._timeline.bounds) as (picture, _, _):
            self._timeline.draw(picture, float(frame.time))


class _Poster:
    """The picture that stands for the clip: its first frame with a label in the labels' later half.

    Failing that it is the first with any label, failing that the first.
    """

    def __init__(self, labels: int) -> None:
        self._middle = labels // 2
        self._rank = -1
        self._jpeg = b""

    def offer(self, frame: VideoFrame, row: int | None) -> None:
        rank = 0 if row is None else 1 + (row >= self._middle)
        if rank > self._rank:
            self._rank, self._jpeg = rank, _jpeg(_smaller(frame.picture()), _POSTER_QUALITY)

    def write(self, path: Path) -> None:
        with whole_file(path) as temporary:
            temporary.write_bytes(self._jpeg)


def _smaller(picture: Array) -> Array:
    height, width = picture.shape[:2]
    factor = min(1.0, _POSTER_SIDE / max(height, width))
    size = max(1, round(width * factor)), max(1, round(height * factor))
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA)


def _renderer(
    annotations: ClipAnnotations, folder: Path, options: VisualiseOptions, report: ClipReport
) -> MeshRenderer | None:
    if not options.show_mesh:
        return None
    if annotations.vertices is None:
        report.warnings.append(
            "no mesh: the pickle has no `vertices` (it is from the small archive); only the "
            "keypoints are drawn"
        )
        return None
    path = _faces_path(folder, options.faces_path)
    report.inputs["faces"] = file_stamp(path)
    faces = load_faces(path, vertex_count=annotations.vertices.shape[1])
    renderer = FastRenderer(faces)
    report.renderer = renderer.name
    return renderer


def _faces_path(folder: Path, given: Path | None) -> Path:
    if given is not None:
        return given
    beside = folder / FACES_FILE
    return beside if beside.is_file() else Path(FACES_FILE)


def _find_video(
    clip: ClipName, folder: Path, options: VisualiseOptions, report: ClipReport
) -> LocalVideo:
    if options.video is not None:
        is_whole = options.video.stem == clip.video_id
        start, end = (clip.start_sec, clip.end_sec) if is_whole else (None, None)
        video = LocalVideo(options.video, start, end, "--video")
    else:
        search = find_local_video(clip, folder, options.video_dirs)
        report.warnings += search.warnings
        if search.video is None:
            raise video_not_found(clip, search)
        video = search.video
    report.video_source = str(video.path)
    report.inputs["video"] = file_stamp(video.path)
    report.warnings += video.warnings
    return video


def _resolve_camera(
    annotations: ClipAnnotations,
    reader: VideoReader,
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
    report.person_size = _rounded(person_size(resolved.keypoints_px, properties.height))
    report.warnings += resolved.warnings
    return resolved


@contextlib.contextmanager
def _outputs(
    folder: Path, reader: VideoReader, options: VisualiseOptions
) -> Iterator[tuple[Callable[[VideoFrame], None], Callable[[VideoFrame, int], None]]]:
    """Functions that write a frame of the video and a JPEG, or do nothing where not wanted."""
    with contextlib.ExitStack() as stack:
        write_video: Callable[[VideoFrame], None] = _write_nothing
        write_jpeg: Callable[[VideoFrame, int], None] = _write_nothing
        if "video" in options.outputs:
            path = stack.enter_context(whole_file(folder / f"{folder.name}.mp4"))
            writer = VideoWriter(
                path, reader.properties, options.video_crf, options.encoder_threads
            )
            write_video = stack.enter_context(BackgroundCalls(stack.enter_context(writer).write))
        if "frames" in options.outputs:
            frames_folder = stack.enter_context(whole_folder(folder / "frames"))

            def write_jpeg(frame: VideoFrame, row: int) -> None:
                _write_jpeg(frames_folder / f"{row:04d}.jpg", frame.picture())

        yield write_video, write_jpeg


def _write_nothing(*_: object) -> None:
    pass


def _write_jpeg(path: Path, picture: Array) -> None:
    path.write_bytes(_jpeg(picture, _JPEG_QUALITY))


def _jpeg(picture: Array, quality: int) -> bytes:
    options = [cv2.IMWRITE_JPEG_QUALITY, quality]
    _, data = cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), options)
    return data.tobytes()


def _check_frames(report: ClipReport, reader: VideoReader) -> None:
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
            f"{report.labels_dropped} labels were not drawn: they are past the end of the video, "
            "or a frame had a nearer one"
        )
    if reader.undecodable_packets:
        report.warnings.append(
            f"{reader.undecodable_packets} packets of the video could not be decoded; their "
            "frames are missing"
        )


def write_report(report: ClipReport, path: Path) -> None:
    """Writes a report, whole or not at all.

    Raises:
        OutputError: it cannot be written.
    """
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


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
