"""Draws a clip's SMPL mesh and 2D keypoints over its video.

    python run_visualise.py --filename KV4jIAq3WJo_155_165.pkl

Flags become plain options here, and nothing else happens here. Covered by
tests/test_command_line.py.
"""

from __future__ import annotations

import math
import re
import sys
import traceback
import typing
from fractions import Fraction
from pathlib import Path

import tqdm
from absl import flags

import visualise
from bodies import BodyOptions
from camera import View
from downloaders import DownloadOptions
from errors import OptionError, PoseKineticsError
from export_meshes import FRAME_CHOICE
from exports import EXPORTS
from faces import FACES_FILE
from inputs import ClipInputs, ClipSource, find_clip, is_batch, without_leading_dashes
from kernels import while_compiling
from keypoints import JOINT_NAMES
from kinetics_download import define_download_flags, download_options
from messages import one_line
from options import MeshStyle, VisualiseOptions
from preview import PREVIEW_FORMATS
from renderer import COLOURS, Colour
from report import ClipReport
from viewer import check_viewer, view

if typing.TYPE_CHECKING:
    from batch import BatchOptions

_OK, _FAILED, _WRONG_USAGE, _INTERRUPTED = 0, 1, 2, 130
_OUTPUTS = ("video", "frames", "poster", "timelapse", *PREVIEW_FORMATS, "rrd", *EXPORTS)
_MOST_VIEWS = 8
_SAMPLE = "samples/sampleDance_10_14.pkl"


def main(arguments: list[str]) -> int:
    """Runs the command and returns its exit code.

    Args:
        arguments: the command line, the program's name first.
    """
    values = _define_flags()
    try:
        inputs = _parsed(values, arguments)
        if values.help:
            print(__doc__.partition("\n\n")[0], values.get_help(), sep="\n")
            return _OK
        inputs = values.filename + inputs
        if not inputs:
            raise flags.Error(f"--filename is missing; to see the sample: --filename {_SAMPLE}")
        options = _options(values)
        is_one = values.clip is not None or not is_batch(inputs)
        if options.video is not None and not is_one:
            raise flags.Error("--video goes with one clip; for many give --video_dir")
        if values.scheduler is not None and is_one:
            raise flags.Error("--scheduler is for many clips; one is drawn here")
        if values.view is not None and not is_one:
            raise flags.Error("--view shows one clip; give one pickle, or --clip")
    except flags.Error as error:
        print(f"run_visualise: {error} (--help lists the flags)", file=sys.stderr)
        return _WRONG_USAGE
    try:
        return _run(inputs, options, values) if is_one else _run_batch(inputs, options, values)
    except PoseKineticsError as error:
        if values.verbosity > 0:
            traceback.print_exc()
        print(f"run_visualise: {one_line(str(error))}", file=sys.stderr)
        return _FAILED
    except KeyboardInterrupt:
        print("run_visualise: interrupted; nothing half-written was left", file=sys.stderr)
        return _INTERRUPTED


def _parsed(values: flags.FlagValues, arguments: list[str]) -> list[str]:
    """Reads the flags; returns the arguments that are none."""
    try:
        return list(values(without_leading_dashes(arguments))[1:])
    except ValueError as error:  # what absl makes of --noshow_mesh=1
        raise flags.Error(str(error)) from error


def _run(inputs: list[str], options: VisualiseOptions, values: flags.FlagValues) -> int:
    if values.view is not None:
        check_viewer(values.view)
    source = ClipSource(Path(inputs[0])) if values.clip is None else find_clip(inputs, values.clip)
    report = _draw(source, options)
    if values.view is not None:
        view(options.output_dir / report.clip / f"{report.clip}.rrd", values.view)
    return _OK


def _draw(source: ClipSource, options: VisualiseOptions) -> ClipReport:
    compiling = f"{source.clip}: compiling, only once"
    # disable=None: no bar where nobody watches.
    with tqdm.tqdm(desc=source.clip, unit="frame", disable=None, leave=False) as bar:

        def progress(done: int, expected: int) -> None:
            bar.total = expected
            bar.set_description_str(source.clip, refresh=False)
            bar.update(done - bar.n)

        with while_compiling(lambda: bar.set_description_str(compiling)):
            report = visualise.visualise_clip(source, options, progress)
    for warning in report.warnings:
        print(f"{report.clip}: warning: {one_line(warning)}", file=sys.stderr)
    print(
        f"{report.clip}: {report.frames_drawn} of {report.frames_total} frames drawn in "
        f"{report.seconds:.1f} s: {options.output_dir / report.clip}"
    )
    return report


def _run_batch(inputs: list[str], options: VisualiseOptions, values: flags.FlagValues) -> int:
    import batch  # noqa: PLC0415 one clip starts sooner without it

    summary = batch.visualise_batch(ClipInputs(inputs), options, _batch_options(values))
    print(batch.table(summary, options.output_dir))
    if summary.end == "interrupted":
        return _INTERRUPTED
    return _FAILED if summary.failed else _OK


def _batch_options(values: flags.FlagValues) -> BatchOptions:
    from batch import BatchOptions  # noqa: PLC0415 one clip starts sooner without it

    return BatchOptions(
        jobs=values.jobs,
        scheduler=values.scheduler,
        clip_timeout=values.clip_timeout or None,
        overwrite=values.overwrite,
        retry_failed=values.retry_failed,
        max_failures=values.max_failures,
    )


def _options(values: flags.FlagValues) -> VisualiseOptions:
    faces_given = values["smpl_face_path"].present > 0
    download = _download_options(values)
    return VisualiseOptions(
        output_dir=Path(values.output_dir),
        video=_path(values.video),
        video_dirs=tuple(Path(folder) for folder in values.video_dir),
        download=download,
        missing_video=values.missing_video,
        blank_size=_blank_size(values.blank_size),
        body=BodyOptions(
            smpl_model=_path(values.smpl_model),
            joint_regressor=_path(values.joint_regressor),
            vertices=values.vertices,
            faces_path=Path(values.smpl_face_path) if faces_given else None,
            cache_dir=download.cache_dir,
        ),
        layout=values.layout,
        views=_views(values.views),
        show_hud=values.hud,
        show_mesh=values.show_mesh,
        show_keypoints=values.show_keypoints,
        keypoint_source=values.keypoint_source,
        mesh_style=values.mesh_style,
        mesh_colour=_colour(values.mesh_colour),
        mesh_alpha=values.mesh_alpha,
        trail=tuple(values.trail),
        renderer=values.renderer,
        antialias=values.antialias,
        camera_convention=values.camera_convention,
        keypoint_units=values.keypoint_units,
        frames=values.frames,
        outputs=frozenset(values.outputs) | ({"rrd"} if values.view else set()),
        timelapse_bodies=values.timelapse_bodies,
        export_frames=tuple(values.export_frames),
        video_crf=values.video_crf,
    )


def _download_options(values: flags.FlagValues) -> DownloadOptions:
    try:
        return download_options(values)
    except OptionError as error:
        raise flags.Error(str(error)) from error


def _blank_size(text: str) -> tuple[int, int, Fraction]:
    match = re.fullmatch(r"(\d{1,5})x(\d{1,5})(?:@(\d{1,6})(?:/(\d{1,6}))?)?", text)
    width, height, rate, divisor = (int(part or 0) for part in match.groups()) if match else [0] * 4
    if width < 2 or height < 2 or (match and match[3] and not rate) or (match and match[4] == "0"):
        raise flags.Error(f"--blank_size={text}: expected such as 640x360 or 640x360@30000/1001")
    return width, height, Fraction(rate or 25, divisor or 1)


def _views(texts: list[str] | None) -> tuple[View, ...] | None:
    """Degrees, or `top`; None where none were given."""
    if texts is None:
        return None
    if len(texts) > _MOST_VIEWS:
        raise flags.Error(f"--views: {len(texts)} views; expected at most {_MOST_VIEWS}")
    return tuple(_view(text) for text in texts)


def _view(text: str) -> View:
    if text == "top":
        return "top"
    try:
        degrees = float(text)
    except ValueError:
        degrees = math.nan
    if not abs(degrees) <= 360:
        raise flags.Error(f"--views: {text!r}: expected degrees from -360 to 360, or top")
    return degrees


def _path(text: str | None) -> Path | None:
    return None if text is None else Path(text)


def _colour(text: str) -> Colour:
    """A name of `renderer.COLOURS`, or RGB as `#rrggbb`."""
    if text in COLOURS:
        return COLOURS[text]
    digits = text.removeprefix("#")
    try:
        red, green, blue = bytes.fromhex(digits)
    except ValueError:
        raise flags.Error(
            f"--mesh_colour={text}: expected {', '.join(COLOURS)} or six hexadecimal digits"
        ) from None
    return red / 255, green / 255, blue / 255


class _WhereParser(flags.ArgumentParser[str]):
    """`--view`, `--view=web` or `--noview`."""

    def parse(self, argument: str) -> str | None:
        """The bare flag comes as `true`, the one with `no` as `false`."""
        known = {"true": "native", "native": "native", "web": "web", "false": None}
        if argument not in known:
            raise ValueError("expected --view or --view=web")
        return known[argument]


def _define_flags() -> flags.FlagValues:
    """The flags, in a holder of their own, so that importing this module defines none."""
    values = flags.FlagValues()
    values.set_gnu_getopt()  # flags may follow inputs
    flags.DEFINE_multi_string(
        "filename",
        [],
        "A clip's pickle, a folder of them, a glob in quotes or a tar archive; may be repeated. "
        "Arguments that are no flags are inputs too.",
        flag_values=values,
    )
    flags.DEFINE_string(
        "clip",
        None,
        "Draw only this clip of the inputs: its name without .pkl.",
        flag_values=values,
    )
    flags.DEFINE_string(
        "video", None, "The clip's video; looked for where it is not given.", flag_values=values
    )
    flags.DEFINE_multi_string(
        "video_dir",
        [],
        "Folder to look for the video in, recursively; may be repeated.",
        flag_values=values,
    )
    flags.DEFINE_string(
        "smpl_face_path",
        FACES_FILE,
        "The mesh's triangles; the default is looked for beside the pickle, then here, and is "
        "else fetched once. Not needed with --smpl_model.",
        flag_values=values,
    )
    flags.DEFINE_string(
        "smpl_model",
        None,
        "A body model, .pkl or .npz; computes the mesh where the pickle has no vertices.",
        flag_values=values,
    )
    flags.DEFINE_enum(
        "vertices",
        "auto",
        ["auto", "file", "model"],
        "The pickle's vertices, the model's, or the pickle's where it has them.",
        flag_values=values,
    )
    flags.DEFINE_string(
        "joint_regressor",
        None,
        "custom_joint_regressor.pkl; the default is the model's own.",
        flag_values=values,
    )
    flags.DEFINE_enum(
        "keypoint_source",
        "file",
        ["file", "model", "both"],
        "The pickle's 2D keypoints, joints regressed from the mesh (pale), or both.",
        flag_values=values,
    )
    define_download_flags(values)
    flags.DEFINE_enum(
        "missing_video",
        "fail",
        ["fail", "blank"],
        "blank draws on a plain background where there is no video.",
        flag_values=values,
    )
    flags.DEFINE_string(
        "blank_size",
        "640x360@25",
        "Columns, rows and frames per second of that background.",
        flag_values=values,
    )
    flags.DEFINE_string(
        "output_dir", "results", "Results go to <output_dir>/<clip>/.", flag_values=values
    )
    flags.DEFINE_list(
        "outputs",
        ["video"],
        "One or more of video, frames (a JPEG per labelled frame), poster (one small JPEG), "
        "timelapse (one still with several bodies), gif, webp (small previews that loop), rrd (for "
        "the rerun viewer), npz, obj, ply, usd, glb.",
        flag_values=values,
    )
    flags.register_validator(
        "outputs",
        lambda names: bool(names) and set(names) <= set(_OUTPUTS),
        f"expected one or more of {', '.join(_OUTPUTS)}, separated by commas",
        flag_values=values,
    )
    flags.DEFINE_integer(
        "timelapse_bodies", 6, "Bodies in the time-lapse.", 2, 100, flag_values=values
    )
    flags.DEFINE_list(
        "export_frames",
        ["middle"],
        "Labels to write as obj and ply: middle, all, rows such as 35, seconds such as 1.4s.",
        flag_values=values,
    )
    flags.register_validator(
        "export_frames",
        lambda choices: bool(choices) and all(map(FRAME_CHOICE.fullmatch, choices)),
        "expected middle, all, rows such as 35 or seconds such as 1.4s, separated by commas",
        flag_values=values,
    )
    flags.DEFINE_flag(
        flags.Flag(
            _WhereParser(),
            None,
            "view",
            None,
            "Look at the clip in 3D afterwards: a window, or with --view=web a page for the "
            "browser. Implies --outputs=rrd.",
            boolean=True,  # so that it may be given bare
        ),
        values,
    )
    flags.DEFINE_enum(
        "frames",
        "all",
        ["all", "labelled"],
        "Which frames of the clip the video holds.",
        flag_values=values,
    )
    flags.DEFINE_enum(
        "camera_convention",
        "auto",
        ["auto", "inside", "outside"],
        "2d = s (xy + t) or 2d = s xy + t; auto settles it from the data.",
        flag_values=values,
    )
    flags.DEFINE_enum(
        "keypoint_units",
        "auto",
        ["auto", "height", "frame"],
        "1.0 is the frame's height on both axes, or its width and its height; auto settles it.",
        flag_values=values,
    )
    flags.DEFINE_enum(
        "layout",
        "overlay",
        ["overlay", "side_by_side", "summary", "turntable"],
        "The overlay alone, the input beside it, six panels, or the overlay beside a view that "
        "circles the body.",
        flag_values=values,
    )
    flags.DEFINE_list(
        "views",
        None,
        "From where else side_by_side and summary show the mesh: degrees about the vertical axis, "
        "or top. The summary's own are 60,-60.",
        flag_values=values,
    )
    flags.register_multi_flags_validator(
        ["layout", "views"],
        lambda chosen: chosen["views"] is None or chosen["layout"] in {"side_by_side", "summary"},
        "--views needs --layout=summary or --layout=side_by_side",
        flag_values=values,
    )
    flags.DEFINE_boolean(
        "hud",
        None,
        "Write each frame's time, number, label and residual; the default is to where that covers "
        "nothing of the video: not with --layout=overlay.",
        flag_values=values,
    )
    flags.DEFINE_boolean("show_mesh", True, "Draw the mesh.", flag_values=values)
    flags.DEFINE_boolean("show_keypoints", True, "Draw the 2D keypoints.", flag_values=values)
    flags.DEFINE_float("mesh_alpha", 1.0, "Opacity of the mesh.", flag_values=values)
    flags.register_validator(
        "mesh_alpha",
        lambda alpha: 0 <= alpha <= 1,  # absl's own bounds let NaN pass
        "expected a number from 0 to 1",
        flag_values=values,
    )
    flags.DEFINE_enum(
        "mesh_style",
        "shaded",
        typing.get_args(MeshStyle),
        "shaded, coloured by parts of the body (left warm, right cool), by where the surface "
        "faces (normals), by depth or speed (a legend says which), or as a wireframe.",
        flag_values=values,
    )
    flags.DEFINE_list(
        "trail",
        [],
        "Joints that leave a fading trail, such as right_wrist,left_wrist.",
        flag_values=values,
    )
    flags.register_validator(
        "trail",
        lambda names: set(names) <= set(JOINT_NAMES),
        f"expected any of {', '.join(JOINT_NAMES)}, separated by commas",
        flag_values=values,
    )
    flags.DEFINE_string(
        "mesh_colour",
        "light_blue",
        f"{', '.join(COLOURS)}, or RGB as six hexadecimal digits.",
        flag_values=values,
    )
    flags.DEFINE_enum(
        "renderer",
        "fast",
        ["fast", "opendr"],
        "What draws the mesh; opendr is the released visualisation's, slow and to be installed.",
        flag_values=values,
    )
    flags.DEFINE_boolean(
        "antialias", False, "Smooth the mesh's outline (fast renderer only).", flag_values=values
    )
    flags.register_multi_flags_validator(
        ["renderer", "antialias"],
        lambda chosen: chosen["renderer"] == "fast" or not chosen["antialias"],
        "--renderer=opendr cannot smooth outlines: leave out --antialias",
        flag_values=values,
    )
    flags.register_multi_flags_validator(
        ["renderer", "mesh_style"],
        lambda chosen: chosen["renderer"] == "fast" or chosen["mesh_style"] != "wireframe",
        "--renderer=opendr cannot draw wireframes: leave out --renderer or --mesh_style",
        flag_values=values,
    )
    flags.DEFINE_integer(
        "video_crf", 20, "x264's quality: 0 is lossless, 51 the worst.", 0, 51, flag_values=values
    )
    _define_batch_flags(values)
    flags.DEFINE_integer("verbosity", 0, "1 shows the traceback of an error.", flag_values=values)
    flags.DEFINE_boolean("help", False, "Show this help.", short_name="h", flag_values=values)
    return values


def _define_batch_flags(values: flags.FlagValues) -> None:
    """Those for many clips; `retry_failed`, which downloads have too, is not among them."""
    flags.DEFINE_integer(
        "jobs", None, "Clips drawn at a time; the default is one a core.", 1, flag_values=values
    )
    flags.DEFINE_string(
        "scheduler",
        None,
        "Draw on the Dask cluster with this scheduler, such as tcp://host:8786.",
        flag_values=values,
    )
    flags.DEFINE_float(
        "clip_timeout",
        1800,
        "Seconds that one of many clips may take; 0: any time.",
        flag_values=values,
    )
    flags.register_validator(
        "clip_timeout",
        lambda seconds: 0 <= seconds < float("inf"),  # absl's own bounds let NaN pass
        "expected seconds, or 0 for any time",
        flag_values=values,
    )
    flags.DEFINE_boolean("overwrite", False, "Draw finished clips again.", flag_values=values)
    flags.DEFINE_integer(
        "max_failures", None, "Stop when so many clips have failed.", 1, flag_values=values
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv))
