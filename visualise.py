"""One clip, from its pickle to a video that shows what the pickle says.

    report = visualise_clip(Path("KV4jIAq3WJo_155_165.pkl"), VisualiseOptions())
    report.status, report.residual_px          # "ok", {"median": 0.0, "max": 0.1}
    show(report)                               # in a notebook: the video itself

Covered by tests/test_visualise.py and tests/test_inline_video.py.
"""

from __future__ import annotations

import contextlib
import dataclasses
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from annotations import ClipAnnotations, parse_annotations
from bodies import BodyOptions, ClipBody, resolve_body
from camera import ResolvedCamera, resolve_camera
from clip_names import ClipName, parse_clip_name
from errors import (
    AnnotationError,
    DownloadError,
    OutputError,
    VideoNotFoundError,
    VideoReadError,
)
from exports import EXPORTS, check_exports, write_exports
from files import make_folder
from inline_video import ShownClip, read_result
from inputs import ClipSource, file_stamp, pickle_stamp
from kinetics_download import get_video
from labels import LabelMatcher
from layouts import Layout, make_layout
from local_videos import LocalVideo
from measures import jitter_mm, person_size
from options import VisualiseOptions, recorded_options
from outputs import Outputs, open_outputs
from pipeline import in_background
from report import REPORT_FILE, ClipReport, remove_report, write_report
from scene import ClipScene
from video_io import BlankVideo, VideoFrame, VideoReader
from viewer import check_viewer

__all__ = ["BodyOptions", "ClipReport", "VisualiseOptions", "show", "visualise_clip"]

Progress = Callable[[int, int], None]

_SHORTER_SEC = 0.5  # copies of Kinetics end a few frames early or late


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
        report.status = "ok"
    except Exception as error:
        report.error = {"type": type(error).__name__, "message": str(error)}
        raise
    finally:
        report.seconds = round(time.monotonic() - started, 3)
        with _unless_it_hides_another_error(report):
            write_report(report, folder / REPORT_FILE)
    return report


def show(clip: ClipReport | Path | str, options: VisualiseOptions | None = None) -> ShownClip:
    """The result of one clip as a notebook shows it, where it is the last line of a cell.

    Args:
        clip: what `visualise_clip` returned, the folder with a result, or a pickle to draw first.
        options: how to draw it, and where results are. Without them a pickle is drawn into a
          temporary folder, and a report's result is looked for in `results`.

    Raises:
        PoseKineticsError: the clip could not be drawn.
        InputError: there is no result in that folder.
    """
    if isinstance(clip, ClipReport):
        return read_result((options or VisualiseOptions()).output_dir / clip.clip)
    if Path(clip).is_dir():
        return read_result(Path(clip))
    with tempfile.TemporaryDirectory() as folder:
        options = options or VisualiseOptions(output_dir=Path(folder))
        options = dataclasses.replace(options, outputs=options.outputs | {"video"})
        return read_result(options.output_dir / visualise_clip(Path(clip), options).clip)


def _visualise(
    source: ClipSource,
    folder: Path,
    options: VisualiseOptions,
    report: ClipReport,
    progress: Progress | None,
) -> None:
    """Reads the pickle and draws what it says."""
    if "rrd" in options.outputs:
        check_viewer()
    if source.data is None and not source.path.exists():
        raise AnnotationError(f"{source.path}: No such file; expected a pickle of the dataset")
    clip = parse_clip_name(report.clip)
    report.video_id, report.start_sec, report.end_sec = dataclasses.astuple(clip)
    with _read_annotations(source, report) as annotations:
        _draw_clip(annotations, clip, source, folder, options, report, progress)


def _draw_clip(
    annotations: ClipAnnotations,
    clip: ClipName,
    source: ClipSource,
    folder: Path,
    options: VisualiseOptions,
    report: ClipReport,
    progress: Progress | None,
) -> None:
    """The way of the data: arrays → video → camera → picture → file."""
    body = _resolve_body(annotations, source.folder, options, report)
    check_exports(annotations, body, options)
    make_folder(folder)
    remove_report(folder / REPORT_FILE)
    with (
        _open_video(clip, source.folder, options, report) as reader,
        in_background(reader.frames(), reader.properties.frame_bytes) as frames,
    ):
        camera = _resolve_camera(annotations, reader, options, report)
        properties = reader.properties
        scene = ClipScene(
            name=report.clip,
            annotations=annotations,
            body=body,
            camera=camera,
            width=properties.width,
            height=properties.height,
            frame_rate=properties.frame_rate,
            duration=properties.duration or clip.duration_sec,
            video=properties.path,
        )
        layout = make_layout(scene, options)
        report.renderer = layout.renderer_name
        composed = properties.resized(layout.width, layout.height)
        with open_outputs(folder, scene, properties, composed, options) as outputs:
            _draw_frames(frames, scene, layout, outputs, options, report, progress)
            _check_frames(report, reader)
            if not report.frames_drawn:
                raise AnnotationError(
                    f"{source.name}: none of its {len(annotations)} labels falls into the video "
                    f"(0 to {scene.duration:.2f} s); is it the right video, and is `time` in "
                    "seconds?"
                )
            outputs.paths += write_exports(folder, scene, options)
        report.outputs = outputs.sizes()


def _draw_frames(
    frames: Iterator[VideoFrame],
    scene: ClipScene,
    layout: Layout,
    outputs: Outputs,
    options: VisualiseOptions,
    report: ClipReport,
    progress: Progress | None,
) -> None:
    matcher = LabelMatcher(scene.annotations.time)
    expected = round(scene.duration * scene.frame_rate)
    for frame, row in matcher.match(frames):
        report.frames_total += 1
        outputs.write_source(frame, row)
        if row is not None or options.frames == "all":
            composed = layout.compose(frame, row)
            if row is not None:
                report.frames_drawn += 1
                outputs.write_still(composed, row)
            layout.draw_time(composed, row)
            outputs.write_film(composed, row)
        if progress is not None:
            progress(report.frames_total, max(expected, report.frames_total))
    report.frames_labelled = matcher.matched
    report.labels_dropped = matcher.dropped


@contextlib.contextmanager
def _read_annotations(source: ClipSource, report: ClipReport) -> Iterator[ClipAnnotations]:
    """The pickle's arrays; its digest is taken beside all that is done with them."""
    data = source.read()
    with ThreadPoolExecutor(1) as beside:
        stamp = beside.submit(pickle_stamp, source, data)
        try:
            annotations = parse_annotations(data, source.name)
            del data  # the digest's thread lets it go when it is done
            report.warnings += annotations.warnings
            report.jitter_mm = _rounded(jitter_mm(annotations.time, annotations.joints_3d))
            yield annotations
        finally:
            report.inputs["pickle"] = stamp.result()


def _resolve_body(
    annotations: ClipAnnotations, folder: Path, options: VisualiseOptions, report: ClipReport
) -> ClipBody:
    is_exported = not options.outputs.isdisjoint(EXPORTS)
    if not options.show_mesh and options.keypoint_source == "file" and not is_exported:
        return ClipBody(None, None, None, None)
    body = resolve_body(annotations, folder, options.body)
    report.inputs.update({name: file_stamp(path) for name, path in body.files.items()})
    report.vertices_source = body.source
    if body.vertices is None:
        report.warnings.append(
            "no mesh: the pickle has no `vertices` (it is from the small archive); give a body "
            "model with --smpl_model to compute them"
        )
    return body


def _open_video(
    clip: ClipName, folder: Path, options: VisualiseOptions, report: ClipReport
) -> VideoReader | BlankVideo:
    try:
        video = _find_video(clip, folder, options)
        report.video_source = str(video.path)
        report.inputs["video"] = file_stamp(video.path)
        report.warnings += video.warnings
        return VideoReader(video.path, video.start_sec, video.end_sec, options.codec_threads)
    except (DownloadError, VideoNotFoundError, VideoReadError) as error:
        if options.missing_video == "fail":
            raise
        report.warnings.append(f"drawn on a plain background: {error}")
        width, height, rate = options.blank_size
        return BlankVideo(width, height, rate, clip.duration_sec, f"No video. {error}")


def _find_video(clip: ClipName, folder: Path, options: VisualiseOptions) -> LocalVideo:
    if options.video is None:
        return get_video(clip, folder, options.video_dirs, options.download)
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
    report.person_size = _rounded(person_size(resolved.keypoints_px, properties.height))
    report.warnings += resolved.warnings
    return resolved


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
