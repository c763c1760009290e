from __future__ import annotations

import functools
import io
import json
import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numba
import numpy as np
import numpy.typing as npt
import pytest
import tqdm
from conftest import CLIP, TIMES, white_picture
from renderers import hide, needs_opendr
from synthetic import Sound, body, decode, write_pickle, write_video

import batch
import visualise
from batch import BatchOptions, BatchSummary
from bodies import BodyOptions
from downloaders import DownloadOptions
from layouts import Layout, make_layout
from options import VisualiseOptions
from report import ClipReport
from run_visualise import main

Array = npt.NDArray[Any]
ROOT = Path(__file__).resolve().parent.parent
MakeClip = Callable[..., Path]
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Run:
    """Calls `main` with results below tmp_path; returns its code, stdout and stderr."""

    def call(*arguments: str | Path) -> tuple[int, str, str]:
        capfd.readouterr()
        given = [str(argument) for argument in arguments]
        code = main(["run_visualise.py", f"--output_dir={tmp_path / 'results'}", *given])
        return code, *capfd.readouterr()

    return call


def started(
    *arguments: str | Path, script: str = "run_visualise.py", cwd: Path = ROOT
) -> subprocess.CompletedProcess[str]:
    path = Path(script) if cwd == ROOT else ROOT / script
    return subprocess.run(
        [sys.executable, path, *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def outcome(tmp_path: Path, name: str = CLIP) -> dict[str, Any]:
    report = json.loads((tmp_path / "results" / name / "report.json").read_text())
    assert isinstance(report, dict)
    return report


def results(tmp_path: Path) -> list[str]:
    folder = tmp_path / "results"
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if not p.is_dir())


def assert_fails(
    ran: tuple[int, str, str], tmp_path: Path, error: str, *parts: str | Path, name: str = CLIP
) -> None:
    """One readable line, exit code 1, no video, and a report that says the same."""
    code, out, err = ran
    assert (code, out) == (1, "")
    assert err.startswith("run_visualise: ")
    assert err.endswith("\n")
    assert err.count("\n") == 1
    assert "Traceback" not in err
    for part in parts:
        assert str(part) in err
    assert results(tmp_path) == [f"{name}/report.json"]
    report = outcome(tmp_path, name)
    assert (report["status"], report["error"]["type"]) == ("failed", error)
    assert err == f"run_visualise: {report['error']['message']}\n"


# What it is for


def test_a_clip_is_written(run: Run, make_clip: MakeClip, tmp_path: Path) -> None:
    code, out, err = run("--filename", make_clip())
    assert (code, err) == (0, "")
    assert out.startswith(f"{CLIP}: 9 of 25 frames drawn in ")
    assert out.endswith(f"{tmp_path / 'results' / CLIP}\n")
    assert results(tmp_path) == [f"{CLIP}/{CLIP}.mp4", f"{CLIP}/report.json"]


@pytest.mark.parametrize("script", ["run_visualise", "run_visualise.py"])
def test_both_scripts_run_and_write_nothing_but_their_line(
    make_clip: MakeClip, tmp_path: Path, script: str
) -> None:
    video = make_clip().with_suffix(".mp4")
    write_video(video, pix_fmt="yuv420p10le", sound=Sound())
    out = tmp_path / "results"
    ran = started("--filename", video.with_suffix(".pkl"), "--output_dir", out, script=script)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.count("\n") == 1
    assert len(decode(out / CLIP / f"{CLIP}.mp4").times) == 25


def test_from_another_folder_with_relative_paths(make_clip: MakeClip, tmp_path: Path) -> None:
    """Results go below the working folder, faces come from beside the pickle."""
    make_clip()
    ran = started("--filename", f"clips/{CLIP}.pkl", cwd=tmp_path)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert results(tmp_path) == [f"{CLIP}/{CLIP}.mp4", f"{CLIP}/report.json"]


@pytest.mark.parametrize("video_id", ["-abcdefghij", "a_b_c_1_2_3", "--_-_--_--_"])
def test_ids_with_dashes_and_underscores(
    run: Run,
    make_clip: MakeClip,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    video_id: str,
) -> None:
    name = f"{video_id}_10_11"
    monkeypatch.chdir(make_clip(name).parent)
    code, _, err = run(f"--filename={name}.pkl")
    assert (code, err) == (0, "")
    assert outcome(tmp_path, name)["video_id"] == video_id
    assert results(tmp_path) == [f"{name}/{name}.mp4", f"{name}/report.json"]


def test_a_file_name_that_begins_with_a_dash_as_an_argument_of_its_own(
    run: Run, make_clip: MakeClip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "-abcdefghij_10_11"
    pickle_path = make_clip(name)
    monkeypatch.chdir(pickle_path.parent)
    (pickle_path.parent / f"{name}.mp4").rename(pickle_path.parent / "-video.mp4")
    code, _, err = run("--filename", f"{name}.pkl", "--video", "-video.mp4")
    assert (code, err) == (0, "")
    assert outcome(tmp_path, name)["video_source"] == "-video.mp4"


def test_every_flag_reaches_its_option(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    met: list[Any] = []

    def visualise_clip(source: Any, options: Any, progress: Any) -> Any:
        del progress
        met.append((source.path, options))
        return ClipReport(clip="clip")

    monkeypatch.setattr(visualise, "visualise_clip", visualise_clip)
    assert run("--filename=a.pkl")[0] == 0
    assert met.pop() == (
        Path("a.pkl"),
        VisualiseOptions(output_dir=tmp_path / "results"),
    )
    code, _, _ = run(
        *["--filename=b.pkl", "--video=v.mp4", "--video_dir=d1", "--video_dir=d2"],
        *["--smpl_face_path=smpl_faces.npy", "--output_dir=o", "--outputs=frames,video"],
        *["--frames=labelled", "--camera_convention=outside", "--keypoint_units=frame"],
        *["--noshow_mesh", "--show_keypoints=false", "--mesh_alpha=0.25"],
        *[
            "--mesh_colour=#ff8000",
            "--video_crf=33",
            "--antialias",
            "--smpl_model=m.pkl",
            "--vertices=model",
        ],
        *["--joint_regressor=r.pkl", "--keypoint_source=both", "--cache_dir=c"],
        *["--downloader=youtube-dl", "--url_base=http://127.0.0.1/", "--retry_failed"],
        *["--ytdlp_args=--limit-rate 2M", "--missing_video=blank"],
        *["--blank_size=320x200@30000/1001", "--export_frames=0,1.5s"],
        *["--layout=summary", "--views", "60,-7.5,top", "--nohud"],
        *["--mesh_style=speed", "--trail=nose,left_wrist", "--timelapse_bodies=9"],
    )
    assert code == 0
    assert met.pop() == (
        Path("b.pkl"),
        VisualiseOptions(
            output_dir=Path("o"),
            video=Path("v.mp4"),
            video_dirs=(Path("d1"), Path("d2")),
            body=BodyOptions(
                smpl_model=Path("m.pkl"),
                joint_regressor=Path("r.pkl"),
                vertices="model",
                faces_path=Path("smpl_faces.npy"),
                cache_dir=Path("c").absolute(),
            ),
            keypoint_source="both",
            download=DownloadOptions(
                downloader="youtube-dl",
                cache_dir=Path("c").absolute(),
                url_base="http://127.0.0.1/",
                ytdlp_args=("--limit-rate", "2M"),
                retry_failed=True,
            ),
            missing_video="blank",
            blank_size=(320, 200, Fraction(30000, 1001)),
            show_mesh=False,
            show_keypoints=False,
            mesh_colour=(1.0, 128 / 255, 0.0),
            mesh_alpha=0.25,
            layout="summary",
            views=(60.0, -7.5, "top"),
            show_hud=False,
            mesh_style="speed",
            trail=("nose", "left_wrist"),
            timelapse_bodies=9,
            antialias=True,
            camera_convention="outside",
            keypoint_units="frame",
            frames="labelled",
            outputs=frozenset({"video", "frames"}),
            export_frames=("0", "1.5s"),
            video_crf=33,
        ),
    )
    assert run("--filename=c.pkl", "--mesh_colour=light_pink")[0] == 0
    assert met.pop()[1].mesh_colour == (0.9, 0.7, 0.7)
    assert run("--filename=d.pkl", "--layout=side_by_side", "--views=-90")[0] == 0
    assert met.pop()[1].views == (-90.0,)
    assert run("--filename=d.pkl", "--layout=summary", "--views=")[0] == 0
    assert met.pop()[1].views == ()
    assert run("--filename=d.pkl", "--renderer=opendr")[0] == 0
    assert met.pop()[1].renderer == "opendr"


def test_flags_for_many_clips_reach_their_options(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    met: list[Any] = []

    def visualise_batch(*given: Any) -> BatchSummary:
        met.append(given)
        return BatchSummary()

    monkeypatch.setattr(batch, "visualise_batch", visualise_batch)
    assert (
        run("--filename=a.pkl", "b.pkl", "--output_dir=o", "c.pkl", "-abcdefghij_1_2.pkl")[0] == 0
    )
    inputs, options, chosen = met.pop()
    names = [item.name for item in inputs]
    assert names == ["a.pkl", "b.pkl", "c.pkl", "-abcdefghij_1_2.pkl"]
    assert options == VisualiseOptions(output_dir=Path("o"))
    assert chosen == BatchOptions(clip_timeout=1800)
    given = ["--jobs=3", "--scheduler=tcp://host:8786", "--clip_timeout=0", "--overwrite"]
    assert run(tmp_path, *given, "--retry_failed", "--max_failures=4")[0] == 0
    _, options, chosen = met.pop()
    assert options.download.retry_failed
    assert chosen == BatchOptions(
        jobs=3,
        scheduler="tcp://host:8786",
        clip_timeout=None,
        overwrite=True,
        retry_failed=True,
        max_failures=4,
    )


def test_one_clip_needs_no_other_process_and_no_dask(make_clip: MakeClip, tmp_path: Path) -> None:
    code = (
        "import sys; from run_visualise import main; code = main(sys.argv)\n"
        "heavy = {'batch', 'executors', 'distributed', 'dask', 'multiprocessing.connection'}\n"
        "sys.exit(str(heavy & set(sys.modules)) if heavy & set(sys.modules) else code)"
    )
    arguments = [f"--filename={make_clip()}", f"--output_dir={tmp_path / 'results'}"]
    ran = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (0, "")


def test_flags_change_what_is_written(run: Run, make_clip: MakeClip, tmp_path: Path) -> None:
    pickle_path = make_clip()
    flags = ["--outputs=video,frames", "--show_mesh=false", "--noshow_keypoints", "--nohud"]
    code, _, err = run("--filename", pickle_path, *flags, "--frames=labelled", "--video_crf=1")
    assert (code, err) == (0, "")
    frames = [f"{CLIP}/frames/{row:04d}.jpg" for row in range(len(TIMES))]
    assert results(tmp_path) == [f"{CLIP}/{CLIP}.mp4", *frames, f"{CLIP}/report.json"]
    pictures = decode(tmp_path / "results" / CLIP / f"{CLIP}.mp4").pictures
    assert len(pictures) == len(TIMES)
    assert all(picture[10:110].min() > 235 for picture in pictures)


def frame_drawn_with(run: Run, tmp_path: Path, pickle_path: Path, *flags: str) -> Array:
    code, _, err = run(
        *["--filename", str(pickle_path), "--noshow_keypoints", "--outputs=frames", *flags]
    )
    assert (code, err) == (0, "")
    picture = cv2.imread(str(tmp_path / "results" / CLIP / "frames" / "0000.jpg"))
    assert picture is not None
    return picture.astype(int)


def test_smooth_outlines(run: Run, make_clip: MakeClip, tmp_path: Path) -> None:
    pickle_path = make_clip()
    plain = frame_drawn_with(run, tmp_path, pickle_path)
    smooth = frame_drawn_with(run, tmp_path, pickle_path, "--antialias")
    changed = (np.abs(plain - smooth) > 20).any(-1).sum()
    assert 30 < changed < 0.1 * plain[..., 0].size
    assert outcome(tmp_path)["renderer"] == "fast"


@pytest.mark.parametrize("needed", [pytest.param(None, marks=needs_opendr)])
def test_opendr(run: Run, make_clip: MakeClip, tmp_path: Path, needed: None) -> None:
    del needed
    pickle_path = make_clip()
    fast = frame_drawn_with(run, tmp_path, pickle_path)
    opendr = frame_drawn_with(run, tmp_path, pickle_path, "--renderer=opendr")
    assert outcome(tmp_path)["renderer"] == "opendr"
    assert np.abs(fast - opendr).mean() < 3
    assert (opendr < 200).any(-1).sum() > 500


def test_opendr_is_not_installed(
    run: Run, make_clip: MakeClip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hide("opendr", monkeypatch)
    ran = run("--filename", make_clip(), "--renderer=opendr")
    assert_fails(ran, tmp_path, "MissingDependencyError", "pip install", "libosmesa6-dev")


def test_the_video_may_be_elsewhere(run: Run, make_clip: MakeClip, tmp_path: Path) -> None:
    pickle_path = make_clip()
    folder = tmp_path / "kinetics" / "train" / "abseiling"
    folder.mkdir(parents=True)
    moved = folder / f"{CLIP[:11]}_000155_000156.mp4"
    pickle_path.with_suffix(".mp4").rename(moved)
    flags = [f"--video_dir={tmp_path / 'nowhere'}", f"--video_dir={tmp_path / 'kinetics'}"]
    code, _, err = run("--filename", pickle_path, *flags)
    assert code == 0
    assert (
        err == f"{CLIP}: warning: passed over {tmp_path / 'nowhere'}: No such file or directory\n"
    )
    assert outcome(tmp_path)["video_source"] == str(moved)


def test_warnings_are_one_line_each(run: Run, make_clip: MakeClip, tmp_path: Path) -> None:
    content = body([0.0, 0.04, 9.0], with_vertices=False).content
    content["line\nbreak\x1b[2J"] = 1
    content["time"] = content["time"][::-1]
    pickle_path = write_pickle(make_clip(), content)
    pickle_path.with_suffix(".mkv").touch()
    code, _, err = run("--filename", pickle_path)
    assert code == 0
    lines = err.splitlines()
    assert len(lines) == len(outcome(tmp_path)["warnings"]) >= 4
    assert all(line.startswith(f"{CLIP}: warning: ") for line in lines)
    assert "line\\nbreak\\x1b" in err
    assert "\x1b" not in err


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_progress_bar_on_a_terminal_only(
    run: Run, make_clip: MakeClip, monkeypatch: pytest.MonkeyPatch
) -> None:
    pickle_path = make_clip()
    assert run("--filename", pickle_path)[2] == ""
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    assert run("--filename", pickle_path)[0] == 0
    assert CLIP in terminal.getvalue()
    assert "frame" in terminal.getvalue()
    assert terminal.getvalue().endswith("\r")  # it cleans up behind itself


def test_the_bar_tells_of_compiling(
    run: Run, make_clip: MakeClip, monkeypatch: pytest.MonkeyPatch
) -> None:
    def compiling(*arguments: Any) -> Layout:
        numba.njit(lambda value: value)(1)
        return make_layout(*arguments)

    monkeypatch.setattr(visualise, "make_layout", compiling)
    every_frame = functools.partial(tqdm.tqdm, mininterval=0)
    monkeypatch.setattr("run_visualise.tqdm.tqdm", every_frame)
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    assert run("--filename", make_clip())[0] == 0
    _, told, later = terminal.getvalue().rpartition(f"{CLIP}: compiling")
    assert told
    assert f"{CLIP}: 100%" in later


def test_a_no_flag_with_a_value_is_wrong_usage(run: Run) -> None:
    code, _, err = run("--filename=a.pkl", "--noshow_mesh=1")
    assert code == 2
    assert err.count("\n") == 1
    assert "--noshow_mesh" in err


def test_help_lists_every_flag(run: Run) -> None:
    code, out, err = run("--help")
    assert (code, err) == (0, "")
    for name in (
        *["filename", "video", "video_dir", "smpl_face_path", "output_dir", "outputs", "frames"],
        *["camera_convention", "keypoint_units", "mesh_alpha", "mesh_colour", "video_crf"],
        *[
            "export_frames",
            "renderer",
            "[no]antialias",
            "[no]show_mesh",
            "[no]show_keypoints",
            "verbosity",
        ],
        *["layout", "views", "[no]hud", "mesh_style", "trail", "timelapse_bodies"],
    ):
        assert f"--{name}" in out


# Wrong usage


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        ([], "--filename"),
        (["--filename"], "filename"),
        (["a.pkl", "b.pkl", "--video=v.mp4"], "--video"),
        (["a.pkl", "b.pkl", "--jobs=0"], "jobs"),
        (["a.pkl", "b.pkl", "--clip_timeout=-1"], "clip_timeout"),
        (["a.pkl", "b.pkl", "--clip_timeout=nan"], "clip_timeout"),
        (["a.pkl", "b.pkl", "--clip_timeout=inf"], "clip_timeout"),
        (["a.pkl", "--scheduler=tcp://host:8786"], "--scheduler"),
        (["--filename=a.pkl", "--no_such_flag"], "no_such_flag"),
        (["--filename=a.pkl", "--frames=some"], "some"),
        (["--filename=a.pkl", "--camera_convention=x"], "camera_convention"),
        (["--filename=a.pkl", "--keypoint_units=px"], "keypoint_units"),
        (["--filename=a.pkl", "--outputs=video,avi"], "avi"),
        (["--filename=a.pkl", "--outputs="], "outputs"),
        (["--filename=a.pkl", "--export_frames="], "export_frames"),
        (["--filename=a.pkl", "--export_frames=last"], "last"),
        (["--filename=a.pkl", "--export_frames=3,1.5"], "1.5"),
        (["--filename=a.pkl", "--video_crf=52"], "52"),
        (["--filename=a.pkl", "--video_crf=-1"], "-1"),
        (["--filename=a.pkl", "--video_crf=good"], "good"),
        (["--filename=a.pkl", "--mesh_alpha=1.5"], "1.5"),
        (["--filename=a.pkl", "--mesh_alpha=-0.1"], "-0.1"),
        (["--filename=a.pkl", "--mesh_alpha=nan"], "nan"),
        (["--filename=a.pkl", "--mesh_colour=blue"], "blue"),
        (["--filename=a.pkl", "--mesh_colour=#ff80"], "#ff80"),
        (["--filename=a.pkl", "--renderer=gpu"], "gpu"),
        (["--filename=a.pkl", "--renderer=opendr", "--antialias"], "--antialias"),
        (["--filename=a.pkl", "--renderer=opendr", "--mesh_style=wireframe"], "wireframes"),
        (["--filename=a.pkl", "--mesh_style=cartoon"], "shaded|parts|normals|depth"),
        (["--filename=a.pkl", "--trail=left_wrist,tail"], "right_ankle, right_knee"),
        (["--filename=a.pkl", "--timelapse_bodies=1"], "--timelapse_bodies"),
        (["--filename=a.pkl", "--show_mesh=perhaps"], "perhaps"),
        (["--filename=a.pkl", "--layout=six"], "six"),
        (["--filename=a.pkl", "--views=90"], "--layout=summary"),
        (["--filename=a.pkl", "--layout=turntable", "--views=90"], "--layout=side_by_side"),
        (["--filename=a.pkl", "--layout=summary", "--views=60,up"], "'up'"),
        (["--filename=a.pkl", "--layout=summary", "--views=361"], "'361'"),
        (["--filename=a.pkl", "--layout=summary", "--views=nan"], "'nan'"),
        (["--filename=a.pkl", "--layout=summary", "--views=1,2,3,4,5,6,7,8,9"], "at most 8"),
        (["--filename=a.pkl", "--flagfile=/no/such/file"], "/no/such/file"),
    ],
)
def test_wrong_usage(run: Run, tmp_path: Path, arguments: list[str], part: str) -> None:
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert err.startswith("run_visualise: ")
    assert err.count("\n") == 1
    assert part in err
    assert "--help" in err
    assert list(tmp_path.iterdir()) == []


# Bad input


class CallsSystem:
    """Pickles to a call of `os.system`."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.system, (self.command,)


def test_a_pickle_that_is_none(run: Run, make_clip: MakeClip, tmp_path: Path) -> None:
    path = make_clip()
    path.write_text("<html>Not found</html>")
    assert_fails(run("--filename", path), tmp_path, "AnnotationError", path)


def test_a_pickle_that_is_truncated(run: Run, make_clip: MakeClip, tmp_path: Path) -> None:
    path = make_clip()
    path.write_bytes(path.read_bytes()[:-100])
    assert_fails(run("--filename", path), tmp_path, "AnnotationError", path)


def test_a_pickle_that_is_missing(run: Run, make_clip: MakeClip, tmp_path: Path) -> None:
    path = make_clip()
    path.unlink()
    assert_fails(run("--filename", path), tmp_path, "AnnotationError", path, "No such file")


def test_a_pickle_that_calls_a_program(run: Run, make_clip: MakeClip, tmp_path: Path) -> None:
    mark = tmp_path / "called"
    path = make_clip(smpl_shape=CallsSystem(f"touch {mark}"))
    assert_fails(run("--filename", path), tmp_path, "UnsafePickleError", path, "system")
    assert not mark.exists()
    pickle.loads(path.read_bytes())  # noqa: S301 it would have been called
    assert mark.exists()


def test_a_pickle_that_declares_a_huge_array(run: Run, make_clip: MakeClip, tmp_path: Path) -> None:
    path = make_clip(time=np.array([7.0, 8.0]))
    data = path.read_bytes()
    shape = b"K\x02\x85"  # the tuple (2,)
    assert data.count(shape) == 1
    path.write_bytes(data.replace(shape, b"\x8a\x06" + (2**43).to_bytes(6, "little") + b"\x85"))
    assert_fails(run("--filename", path), tmp_path, "AnnotationError", path)


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"time": None}, "`time`"),
        ({"2d_keypoints": np.zeros((8, 19, 2))}, "disagree"),
        ({"cameras": np.full((9, 3), np.nan)}, "`cameras`"),
        ({key: value[:0] for key, value in body(TIMES).content.items()}, "N = 0"),
    ],
    ids=["missing key", "lengths", "NaN in a camera", "no frame"],
)
def test_a_pickle_with_wrong_fields(
    run: Run, make_clip: MakeClip, tmp_path: Path, changes: dict[str, Any], part: str
) -> None:
    content = {**body(TIMES).content, **changes}
    path = write_pickle(make_clip(), {k: v for k, v in content.items() if v is not None})
    assert_fails(run("--filename", path), tmp_path, "AnnotationError", path, part)


@pytest.mark.parametrize("name", ["clip", "KV4jIAq3WJo", "KV4jIAq3WJo_9_5", "short_1_2"])
def test_a_name_that_does_not_parse(
    run: Run, make_clip: MakeClip, tmp_path: Path, name: str
) -> None:
    ran = run("--filename", make_clip(name))
    assert_fails(ran, tmp_path, "ClipNameError", name.partition("_")[0], name=name)


def test_no_faces_file(
    run: Run, make_clip: MakeClip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_clip()
    (path.parent / "smpl_faces.npy").unlink()
    monkeypatch.chdir(tmp_path)
    assert_fails(run("--filename", path), tmp_path, "FacesError", "smpl_faces.npy")


def test_a_faces_file_that_is_given_and_missing(
    run: Run, make_clip: MakeClip, tmp_path: Path
) -> None:
    """The one beside the pickle is not taken instead."""
    ran = run("--filename", make_clip(), "--smpl_face_path=/no/such/faces.npy")
    assert_fails(ran, tmp_path, "FacesError", "/no/such/faces.npy")


def test_faces_past_the_vertices(run: Run, make_clip: MakeClip, tmp_path: Path) -> None:
    path = make_clip()
    faces = path.parent / "smpl_faces.npy"
    np.save(faces, np.array([[0, 1, 6889]], np.uint32))
    assert_fails(run("--filename", path), tmp_path, "FacesError", faces, "6889")


def test_no_video(run: Run, make_clip: MakeClip, tmp_path: Path) -> None:
    path = make_clip()
    path.with_suffix(".mp4").unlink()
    ran = run("--filename", path, f"--video_dir={tmp_path / 'kinetics'}", "--downloader=none")
    places = (path.parent, tmp_path / "kinetics", "--video_dir")
    assert_fails(ran, tmp_path, "VideoNotFoundError", *places)


def test_an_empty_video(run: Run, make_clip: MakeClip, tmp_path: Path) -> None:
    path = make_clip()
    video = path.with_suffix(".mp4")
    video.write_bytes(b"")
    ran = run("--filename", path, "--downloader=none")
    assert_fails(ran, tmp_path, "VideoNotFoundError", video, "empty")
    ran = run("--filename", path, "--video", video)
    assert_fails(ran, tmp_path, "VideoReadError", video, "empty")


@pytest.mark.parametrize("kind", ["missing", "folder", "html"])
def test_a_given_video_that_is_none(
    run: Run, make_clip: MakeClip, tmp_path: Path, kind: str
) -> None:
    path, video = make_clip(), tmp_path / "video.mp4"
    if kind == "folder":
        video.mkdir()
    elif kind == "html":
        video.write_text("<html>429 Too Many Requests</html>")
    ran = run("--filename", path, "--video", video)
    assert_fails(ran, tmp_path, "VideoReadError", video)


def test_a_video_cut_short(make_clip: MakeClip, tmp_path: Path) -> None:
    """In a process of its own, where FFmpeg could write lines too."""
    path = make_clip()
    video = path.with_suffix(".mp4")
    write_video(
        video, range(100), sound=Sound(seconds=4), container_options={"movflags": "faststart"}
    )
    video.write_bytes(video.read_bytes()[: int(video.stat().st_size * 0.6)])
    ran = started("--filename", path, "--output_dir", tmp_path / "results")
    shown = (ran.returncode, ran.stdout, ran.stderr)
    assert_fails(shown, tmp_path, "VideoTruncatedError", video, "cut short")


def test_an_output_folder_that_cannot_be_written(
    run: Run, make_clip: MakeClip, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("kept")
    code, out, err = run("--filename", make_clip(), f"--output_dir={tmp_path / 'file' / 'below'}")
    assert (code, out) == (1, "")
    assert err.startswith(f"run_visualise: {tmp_path / 'file'}")
    assert "cannot be written: Not a directory" in err
    assert "--output_dir" in err
    assert err.count("\n") == 1
    assert (tmp_path / "file").read_text() == "kept"


FULL = """
import resource, sys
from run_visualise import main
limit = int(sys.argv.pop(1))
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
sys.exit(main(sys.argv))
"""


@pytest.mark.parametrize("outputs", ["video", "frames"])
def test_a_full_disk(make_clip: MakeClip, tmp_path: Path, outputs: str) -> None:
    """There is room for the report, not for the results."""
    arguments = [f"--filename={make_clip()}", f"--output_dir={tmp_path / 'results'}"]
    ran = subprocess.run(
        [sys.executable, "-c", FULL, "4000", *arguments, f"--outputs={outputs}"],
        cwd=ROOT,
        env={**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "numba")},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    shown = (ran.returncode, ran.stdout, ran.stderr)
    assert_fails(shown, tmp_path, "OutputError", "File too large", "--output_dir")


def test_a_kill_in_the_middle(run: Run, make_clip: MakeClip, tmp_path: Path) -> None:
    pickle_path = make_clip()
    short = pickle_path.with_suffix(".mp4")
    long = write_video(tmp_path / "long.mp4", range(3000), picture=white_picture)
    folder = tmp_path / "results" / CLIP
    arguments = [f"--filename={pickle_path}", f"--video={long}", "--outputs=video,frames"]
    process = subprocess.Popen(
        [sys.executable, "run_visualise.py", *arguments, f"--output_dir={tmp_path / 'results'}"],
        cwd=ROOT,
    )
    try:
        wait_for(lambda: any(p.stat().st_size > 0 for p in folder.glob(".*.mp4.*")))
    finally:
        process.kill()
        process.wait()
    assert process.returncode == -signal.SIGKILL
    left = [path.name for path in folder.iterdir()]
    assert left
    assert all(name.startswith(".") for name in left)
    code, _, err = run("--filename", pickle_path, "--video", short, "--outputs=video,frames")
    assert (code, err) == (0, "")
    assert sorted(p.name for p in folder.iterdir()) == [f"{CLIP}.mp4", "frames", "report.json"]


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_ctrl_c(make_clip: MakeClip, tmp_path: Path) -> None:
    long = write_video(tmp_path / "long.mp4", range(3000), picture=white_picture)
    folder = tmp_path / "results" / CLIP
    arguments = [f"--filename={make_clip()}", f"--video={long}"]
    process = subprocess.Popen(
        [sys.executable, "run_visualise.py", *arguments, f"--output_dir={tmp_path / 'results'}"],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            wait_for(lambda: any(p.stat().st_size > 0 for p in folder.glob(".*.mp4.*")))
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=20)
        finally:
            process.kill()
    assert process.returncode == 130
    assert err == "run_visualise: interrupted; nothing half-written was left\n"
    assert results(tmp_path) == [f"{CLIP}/report.json"]


# Tracebacks


def test_verbosity_shows_where_an_error_came_from(
    run: Run, make_clip: MakeClip, tmp_path: Path
) -> None:
    path = make_clip()
    path.with_suffix(".mp4").write_bytes(b"")
    code, _, err = run("--filename", path, "--downloader=none", "--verbosity=1")
    assert code == 1
    assert "Traceback (most recent call last)" in err
    assert err.splitlines()[-1].startswith("run_visualise: ")
    assert outcome(tmp_path)["status"] == "failed"


def test_a_bug_keeps_its_traceback(make_clip: MakeClip, tmp_path: Path) -> None:
    code = (
        "import sys, layouts; from run_visualise import main\n"
        "layouts.draw_keypoints = lambda *_: 1 / 0\n"
        "sys.exit(main(sys.argv))"
    )
    arguments: Sequence[str | Path] = [
        "--filename",
        make_clip(),
        "--output_dir",
        tmp_path / "results",
    ]
    ran = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ran.returncode not in {0, 2}
    assert "Traceback" in ran.stderr
    assert "ZeroDivisionError" in ran.stderr
    assert results(tmp_path) == [f"{CLIP}/report.json"]
    assert outcome(tmp_path)["error"]["type"] == "ZeroDivisionError"


def test_importing_the_script_defines_no_flag() -> None:
    code = (
        "import sys; from absl import flags; before = set(flags.FLAGS)\n"
        "import run_visualise\n"
        "assert set(flags.FLAGS) == before"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")
