from __future__ import annotations

import io
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import pytest
from conftest import CLIP, TIMES
from rerun.chunk import RrdReader
from synthetic import (
    HEIGHT,
    WIDTH,
    body,
    body_mesh,
    coded_picture,
    number_of,
    turn,
    write_video,
)

from downloaders import DownloadOptions
from errors import OutputError
from keypoints import LIMBS, side_colour
from labels import LabelMatcher
from options import VisualiseOptions
from recording import open_recording
from renderer import checked_faces, vertex_normals
from video_io import VideoReader
from visualise import visualise_clip

Array = npt.NDArray[Any]
MakeClip = Callable[..., Path]

FRAMES = 25
LABELLED = [round(25 * time) for time in TIMES]
CLEARED = [3, 8, 17, 21]  # the first frame without a label after each run of labels
SECOND = 1_000_000_000


class Contents:
    """What a recording holds, by entity: `{entity: {frame: {column: value}}}`."""

    def __init__(self, path: Path) -> None:
        self.fixed: dict[str, dict[str, Any]] = {}
        self.frames: dict[str, dict[int, dict[str, Any]]] = {}
        self.times: dict[int, int] = {}
        self.timelines: set[str] = set()
        for chunk in RrdReader(path).stream():
            entity = chunk.entity_path.removeprefix("/")
            self.timelines |= set(chunk.timeline_names)
            batch = chunk.to_record_batch()
            for row in range(batch.num_rows):
                values = {name: batch[name][row].as_py() for name in batch.schema.names}
                if chunk.is_static:
                    self.fixed.setdefault(entity, {}).update(values)
                else:
                    self.frames.setdefault(entity, {})[values["frame"]] = values
                    self.times[values["frame"]] = round(values["time"].total_seconds() * 1e6)

    def column(self, entity: str, name: str) -> dict[int, Array]:
        """A component by frame."""
        return {frame: np.array(row[name]) for frame, row in sorted(self.frames[entity].items())}

    def video(self) -> bytes:
        return bytes(self.fixed["video"]["AssetVideo:blob"][0])

    def open_video(self) -> av.container.InputContainer:
        return av.open(io.BytesIO(self.video()), "r")

    def shown_numbers(self) -> list[int]:
        """What `coded_picture` is shown at each frame, as a player finds it in the video."""
        with self.open_video() as container:
            frames = list(container.decode(video=0))
        first = frames[0].pts or 0
        seconds = [
            Fraction((frame.pts or 0) - first) * Fraction(frame.time_base or 0) for frame in frames
        ]
        wanted = [
            Fraction(int(row["VideoFrameReference:timestamp"][0]), SECOND)
            for _, row in sorted(self.frames["video"].items())
        ]
        offset = wanted[0]
        shown = [
            min(range(len(frames)), key=lambda i: abs(seconds[i] - (time - offset)))
            for time in wanted
        ]
        return [number_of(frames[index].to_ndarray(format="rgb24")) for index in shown]


def recorded(pickle_path: Path, tmp_path: Path, **changes: Any) -> Contents:
    options = VisualiseOptions(
        output_dir=tmp_path / "results",
        outputs=frozenset({"rrd"}),
        download=DownloadOptions(downloader="none", cache_dir=tmp_path / "cache"),
        **changes,
    )
    name = visualise_clip(pickle_path, options).clip
    folder = tmp_path / "results" / name
    assert sorted(path.name for path in folder.iterdir()) == [f"{name}.rrd", "report.json"]
    return Contents(folder / f"{name}.rrd")


@pytest.fixture
def plain(make_clip: MakeClip, tmp_path: Path) -> Contents:
    return recorded(make_clip(), tmp_path)


# Time


def test_frames_stand_at_their_times(plain: Contents) -> None:
    assert plain.timelines == {"time", "frame"}
    assert plain.times == {frame: 40_000 * frame for frame in range(FRAMES)}  # microseconds
    assert sorted(plain.frames["video"]) == list(range(FRAMES))


@pytest.mark.parametrize("entity", ["keypoints/joints", "keypoints/limbs", "body/mesh"])
def test_labels_stand_at_their_frames(plain: Contents, entity: str) -> None:
    assert sorted(plain.frames[f"label/{entity}"]) == LABELLED


def test_frames_without_a_label_show_none(plain: Contents) -> None:
    cleared = plain.column("label", "Clear:is_recursive")
    assert {frame: value.tolist() for frame, value in cleared.items()} == {
        frame: [True] for frame in CLEARED
    }


# Keypoints and body


def test_keypoints_stand_half_a_pixel_from_pixel_centres(plain: Contents) -> None:
    expected = body(TIMES).joints + 0.5
    points = plain.column("label/keypoints/joints", "Points2D:positions")
    np.testing.assert_allclose(list(points.values()), expected, atol=1e-4)
    strips = plain.column("label/keypoints/limbs", "LineStrips2D:strips")
    np.testing.assert_allclose(list(strips.values()), expected[:, LIMBS], atol=1e-4)


def test_the_skeleton_has_the_limbs_and_the_colours_of_its_sides(plain: Contents) -> None:
    joints = body(TIMES).content["3d_keypoints"]
    for entity, kind in (("joints", "Points3D:positions"), ("limbs", "LineStrips3D:strips")):
        expected = joints if entity == "joints" else joints[:, LIMBS]
        met = plain.column(f"label/body/{entity}", kind)
        np.testing.assert_allclose(list(met.values()), expected, atol=1e-6)
    for entity in ("keypoints", "body"):
        dimensions = "2D" if entity == "keypoints" else "3D"
        limbs = plain.column(f"label/{entity}/limbs", f"LineStrips{dimensions}:colors")
        expected = [_rgba(side_colour(child)) for child, _ in LIMBS]
        assert all(colours.tolist() == expected for colours in limbs.values())
        joints = plain.column(f"label/{entity}/joints", f"Points{dimensions}:colors")
        expected = [_rgba(side_colour(joint)) for joint in range(19)]
        assert all(colours.tolist() == expected for colours in joints.values())


def _rgba(colour: tuple[int, int, int]) -> int:
    red, green, blue = colour
    return red << 24 | green << 16 | blue << 8 | 255


def test_the_mesh_is_the_files_own_with_normals(plain: Contents) -> None:
    vertices, faces = body_mesh()
    for name in ("vertex_positions", "vertex_normals"):
        assert len(plain.column("label/body/mesh", f"Mesh3D:{name}")) == len(TIMES)
    for mesh in plain.column("label/body/mesh", "Mesh3D:vertex_positions").values():
        np.testing.assert_array_equal(mesh, vertices)
    for normals in plain.column("label/body/mesh", "Mesh3D:vertex_normals").values():
        np.testing.assert_allclose(
            normals, vertex_normals(vertices, checked_faces(faces)), atol=0.01
        )
    fixed = plain.fixed["label/body/mesh"]
    np.testing.assert_array_equal(fixed["Mesh3D:triangle_indices"], faces)


def test_its_colour_can_be_chosen(make_clip: MakeClip, tmp_path: Path) -> None:
    contents = recorded(make_clip(), tmp_path, mesh_colour=(1.0, 0.5, 0.0))
    (factor,) = contents.fixed["label/body/mesh"]["Mesh3D:albedo_factor"]
    assert factor >> 8 == 0xFF8000


def test_axes_are_the_cameras(plain: Contents) -> None:
    right, down, forward = 3, 2, 5  # rerun's numbers
    assert plain.fixed["label/body"]["ViewCoordinates:xyz"] == [[right, down, forward]]


def test_unknown_joints_are_left_out(make_clip: MakeClip, tmp_path: Path) -> None:
    keypoints = body(TIMES).content["2d_keypoints"].copy()
    keypoints[0, 0] = np.nan
    contents = recorded(make_clip(**{"2d_keypoints": keypoints}), tmp_path)
    points = contents.column("label/keypoints/joints", "Points2D:positions")
    assert [len(points[frame]) for frame in LABELLED[:2]] == [18, 19]
    strips = contents.column("label/keypoints/limbs", "LineStrips2D:strips")
    assert [len(strips[frame]) for frame in LABELLED[:2]] == [len(LIMBS) - 1, len(LIMBS)]


def test_a_clip_of_unknown_keypoints(make_clip: MakeClip, tmp_path: Path) -> None:
    keypoints = np.full((len(TIMES), 19, 2), np.nan)
    contents = recorded(make_clip(**{"2d_keypoints": keypoints}), tmp_path)
    points = contents.column("label/keypoints/joints", "Points2D:positions")
    assert [points[frame].size for frame in LABELLED] == [0] * len(TIMES)
    residual = contents.column("label/residual", "Scalars:scalars")
    assert all(value.size == 0 for value in residual.values())
    assert sorted(contents.frames["label/body/mesh"]) == LABELLED


def test_without_a_mesh_the_skeleton_is_shown(make_clip: MakeClip, tmp_path: Path) -> None:
    contents = recorded(make_clip(vertices=None), tmp_path)
    assert "label/body/mesh" not in contents.frames
    assert sorted(contents.frames["label/body/limbs"]) == LABELLED


def test_of_smpls_skeleton_the_shared_joints_are_shown(make_clip: MakeClip, tmp_path: Path) -> None:
    given = body(TIMES).content["3d_keypoints"]
    smpl = np.zeros((len(TIMES), 24, 3))
    smpl[:, [8, 5, 2, 1, 4, 7, 21, 19, 17, 16, 18, 20]] = given[:, :12]
    contents = recorded(make_clip(**{"3d_keypoints": smpl}), tmp_path)
    points = contents.column("label/body/joints", "Points3D:positions")
    np.testing.assert_allclose(list(points.values()), given[:, :12], atol=1e-6)


# Curves


def test_curves_are_known_where_labels_are(make_clip: MakeClip, tmp_path: Path) -> None:
    content = body(TIMES).content
    keypoints = content["2d_keypoints"].copy()
    keypoints[4] += 3 / HEIGHT
    contents = recorded(make_clip(**{"2d_keypoints": keypoints}), tmp_path)
    curves = {
        name: contents.column(f"label/{name}", "Scalars:scalars")
        for name in ("residual", "jitter", "scale")
    }
    for curve in curves.values():
        assert sorted(curve) == list(range(FRAMES))
    known = {name: [f for f, v in curve.items() if v.size] for name, curve in curves.items()}
    assert known == {"residual": LABELLED, "scale": LABELLED, "jitter": [1, 6]}
    residual = [float(curves["residual"][frame][0]) for frame in LABELLED]
    np.testing.assert_allclose(residual, [0, 0, 0, 0, 3 * 2**0.5, 0, 0, 0, 0], atol=1e-3)
    scale = [float(curves["scale"][frame][0]) for frame in LABELLED]
    np.testing.assert_allclose(scale, HEIGHT * content["cameras"][:, 0])
    assert [float(curves["jitter"][frame][0]) for frame in (1, 6)] == [0.0, 0.0]


# The video


def coded_clip(make_clip: MakeClip, name: str = CLIP, **video: Any) -> Path:
    """A clip whose pictures say which they are."""
    pickle_path = make_clip(name)
    write_video(pickle_path.with_suffix(".mp4"), **video)
    return pickle_path


def test_the_clips_own_file_is_taken_as_it_is(make_clip: MakeClip, tmp_path: Path) -> None:
    pickle_path = coded_clip(make_clip)
    contents = recorded(pickle_path, tmp_path)
    assert contents.video() == pickle_path.with_suffix(".mp4").read_bytes()
    assert contents.shown_numbers() == list(range(FRAMES))


def test_frames_that_are_stored_out_of_order(make_clip: MakeClip, tmp_path: Path) -> None:
    contents = recorded(coded_clip(make_clip, b_frames=3), tmp_path)
    assert contents.shown_numbers() == list(range(FRAMES))


def test_frames_at_unequal_distances(make_clip: MakeClip, tmp_path: Path) -> None:
    ticks = [10, 14, 15, 16, 21, 22, 30, 31, 32, 34]
    contents = recorded(coded_clip(make_clip, ticks=ticks), tmp_path)
    assert contents.times == {i: 40_000 * (tick - 10) for i, tick in enumerate(ticks)}
    assert contents.shown_numbers() == list(range(len(ticks)))


@pytest.mark.parametrize(
    ("video", "suffix"),
    [
        pytest.param({"codec": "libvpx-vp9"}, ".webm", id="vp9"),
        pytest.param({"pix_fmt": "yuv420p10le"}, ".mp4", id="10 bits"),
        pytest.param({"pix_fmt": "yuv444p", "size": (161, 121)}, ".mp4", id="odd size"),
        pytest.param({}, ".mkv", id="matroska"),
    ],
)
def test_what_browsers_do_not_play_is_encoded_anew(
    make_clip: MakeClip, tmp_path: Path, video: dict[str, Any], suffix: str
) -> None:
    pickle_path = make_clip()
    pickle_path.with_suffix(".mp4").unlink()
    write_video(pickle_path.with_suffix(suffix), **video)
    contents = recorded(pickle_path, tmp_path)
    assert_encoded_anew(contents, pickle_path.with_suffix(suffix))
    assert contents.shown_numbers() == list(range(FRAMES))


def assert_encoded_anew(contents: Contents, source: Path) -> None:
    assert contents.video() != source.read_bytes()
    with contents.open_video() as container:
        assert "mp4" in container.format.name
        assert len(container.streams) == 1
        context = container.streams.video[0].codec_context
        assert (context.name, context.pix_fmt) == ("h264", "yuv420p")


def test_a_part_of_a_longer_video_is_cut_out(make_clip: MakeClip, tmp_path: Path) -> None:
    pickle_path = make_clip("KV4jI_q3W-o_1_2")
    pickle_path.with_suffix(".mp4").unlink()
    whole = pickle_path.with_name("KV4jI_q3W-o.mp4")
    write_video(whole, range(75))
    contents = recorded(pickle_path, tmp_path)
    assert_encoded_anew(contents, whole)
    assert contents.shown_numbers() == list(range(25, 50))
    assert contents.times == {frame: 40_000 * frame for frame in range(FRAMES)}


def test_a_turned_video_is_upright(make_clip: MakeClip, tmp_path: Path) -> None:
    pickle_path = coded_clip(make_clip, picture=_lying)
    turn(pickle_path.with_suffix(".mp4"), 90)
    contents = recorded(pickle_path, tmp_path)
    with contents.open_video() as container:
        first = next(container.decode(video=0))
        assert (first.width, first.height, first.rotation) == (HEIGHT, WIDTH, 0)
    assert contents.shown_numbers() == list(range(FRAMES))


def _lying(number: int, width: int, height: int) -> Array:
    return np.ascontiguousarray(np.rot90(coded_picture(number, height, width)))


def test_a_missing_video_is_a_plain_background(make_clip: MakeClip, tmp_path: Path) -> None:
    pickle_path = make_clip()
    pickle_path.with_suffix(".mp4").unlink()
    contents = recorded(
        pickle_path,
        tmp_path,
        missing_video="blank",
        blank_size=(WIDTH, HEIGHT, Fraction(25)),
    )
    with contents.open_video() as container:
        pictures = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert len(pictures) == FRAMES
    assert all(np.median(picture) > 200 for picture in pictures)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])  # as it is, and encoded anew
def test_nothing_is_drawn_into_it(make_clip: MakeClip, tmp_path: Path, suffix: str) -> None:
    pickle_path = make_clip()  # a white video
    own = pickle_path.with_suffix(".mp4")
    if suffix != ".mp4":
        with av.open(str(own)) as source, av.open(str(own.with_suffix(suffix)), "w") as copy:
            stream = copy.add_stream_from_template(source.streams.video[0])
            for packet in source.demux(video=0):
                if packet.size:
                    packet.stream = stream
                    copy.mux(packet)
        own.unlink()
    options = VisualiseOptions(
        output_dir=tmp_path / "both",
        outputs=frozenset({"rrd", "video"}),
        download=DownloadOptions(downloader="none"),
    )
    visualise_clip(pickle_path, options)
    contents = Contents(tmp_path / "both" / CLIP / f"{CLIP}.rrd")
    with contents.open_video() as container:
        for frame in container.decode(video=0):
            assert frame.to_ndarray(format="rgb24").min() > 240
    with av.open(str(tmp_path / "both" / CLIP / f"{CLIP}.mp4")) as container:
        drawn = next(container.decode(video=0)).to_ndarray(format="rgb24")
    assert drawn.min() < 100


# The file


def test_it_appears_whole_or_not_at_all(make_clip: MakeClip, tmp_path: Path) -> None:
    pickle_path = make_clip(time=np.array(TIMES) + 1000)
    with pytest.raises(ValueError, match="none of its 9 labels"):
        recorded(pickle_path, tmp_path)
    assert [path.name for path in (tmp_path / "results" / CLIP).iterdir()] == ["report.json"]


def test_a_full_disk_is_an_error_of_the_users(scene_of: Callable[..., Any]) -> None:
    scene, properties, path = scene_of()
    with (
        pytest.raises(OutputError, match="cannot be written"),
        VideoReader(path) as reader,
        open_recording(Path("/dev/full"), scene, properties) as record,
    ):
        for frame, row in LabelMatcher(scene.annotations.time).match(reader.frames()):
            record(frame, row)


@pytest.fixture
def scene_of(
    make_clip: MakeClip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Any]:
    """What `visualise` makes of a clip before its first frame is drawn."""

    def make() -> Any:
        met: list[Any] = []

        def keep(folder: Path, scene: Any, source: Any, composed: Any, options: Any) -> Any:
            met.append((scene, source, make_clip().with_suffix(".mp4")))
            raise OutputError("enough")

        monkeypatch.setattr("visualise.open_outputs", keep)
        with pytest.raises(OutputError, match="enough"):
            visualise_clip(make_clip(), VisualiseOptions(output_dir=tmp_path / "none"))
        return met[0]

    return make
