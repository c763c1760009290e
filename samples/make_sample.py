"""Makes the sample clip and its pickle from body_model.npz.

    python samples/make_sample.py        # writes three files beside this script, some minutes

sampleDance_000010_000014.mp4 (640×360, 25 fps, 100 frames, with sound) shows the dance of
dance.py on the stage of stage.py; sampleDance_10_14.pkl holds its labels in the dataset's schema,
as Python 2 would have written them; smpl_faces.npy the body's triangles. The same versions of the
libraries give the same pickle and faces, byte for byte. Covered by tests/test_samples.py.
"""

from __future__ import annotations

import struct
import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
from scipy.spatial.transform import Rotation

FOLDER = Path(__file__).resolve().parent
sys.path.insert(0, str(FOLDER.parent))

from dance import BEAT_SEC, Move, dance  # noqa: E402
from stage import CAMERA_TURN, Backdrop, Camera, Dancer, draw_dancer  # noqa: E402

from body_model import BodyModel, load_body_model  # noqa: E402  # the line above finds it

Array = npt.NDArray[np.float64]
Floats = npt.NDArray[np.float32]

SEED = 20190413
CLIP = "sampleDance_10_14"
VIDEO = "sampleDance_000010_000014.mp4"
WIDTH, HEIGHT, RATE, N_FRAMES = 640, 360, 25, 100
UNLABELLED = [range(43, 61), range(83, 95)]
SHAPE = (0.2, -0.3, 0.5, 0.2, 0.4, -0.2, -0.2, 0.2, 0.1, 0.3)
NOISE = 0.9
SAMPLE_RATE = 48000

# Second, scale, and where the stage's origin is in the frame, in units of the frame's height.
CAMERA_KEYS = [
    (0.0, 0.440, 0.800, 0.415),
    (1.0, 0.418, 0.870, 0.440),
    (2.0, 0.405, 0.850, 0.462),
    (3.0, 0.392, 0.845, 0.480),
    (3.5, 0.392, 0.842, 0.480),
    (4.0, 0.420, 0.850, 0.448),
]

# Five joints of our choice beyond the 19 (the dataset does not say what its are): big toes,
# thumbs, breastbone. The vertex nearest to the place at rest.
EXTRA_JOINTS = [
    (0.085, -1.143, 0.178),
    (-0.085, -1.143, 0.178),
    (0.800, 0.199, 0.040),
    (-0.800, 0.199, 0.040),
    (0.0, 0.120, 0.100),
]


def main() -> None:
    """Makes the faces, the pickle and the video."""
    model = load_body_model(FOLDER / "body_model.npz")
    np.save(FOLDER / "smpl_faces.npy", np.asarray(model.faces, dtype=np.uint32))
    scene = Scene(model)
    labelled = [i for i in range(N_FRAMES) if not any(i in gap for gap in UNLABELLED)]
    (FOLDER / f"{CLIP}.pkl").write_bytes(python2_pickle(scene.annotations(labelled)))
    write_video(FOLDER / VIDEO, scene)


class Scene:
    """The body, what it does and how the camera sees it, for all frames of the clip."""

    def __init__(self, model: BodyModel) -> None:
        self.model = model
        shape = np.tile(np.array(SHAPE, dtype=np.float32), (N_FRAMES, 1))
        rest, joints = model.forward(shape[:1], np.zeros((1, 72), dtype=np.float32))
        self.rest = rest[0].astype(np.float64)
        self.floor = float(self.rest[:, 1].min())
        pelvis = joints[0, 0].astype(np.float64)
        times = np.arange(N_FRAMES) / RATE
        move = dance(joints[0].astype(np.float64), self.floor, times)
        self.shape, self.pose = shape, _seen_from_camera(move)
        self.vertices = model.forward(self.shape, self.pose)[0]
        self.stage_cameras = [_camera(t) for t in times]
        on_stage = CAMERA_TURN.apply(move.pelvis)
        self.cameras = np.array(
            [
                (camera.scale, *(place[:2] - pelvis[:2] + camera.offset))
                for camera, place in zip(self.stage_cameras, on_stage, strict=True)
            ],
            dtype=np.float32,
        )
        self.in_stage_axes = np.stack(
            [
                CAMERA_TURN.inv().apply(v.astype(np.float64) - pelvis) + place
                for v, place in zip(self.vertices, move.pelvis, strict=True)
            ]
        )

    def annotations(self, frames: list[int]) -> dict[str, npt.NDArray[np.generic]]:
        """What the dataset's pickle holds about these frames."""
        regressor = np.concatenate([self.model.cocoplus_regressor, self._extra_regressor()])
        vertices, cameras = self.vertices[frames], self.cameras[frames]
        joints = (regressor.astype(np.float64) @ vertices.astype(np.float64)).astype(np.float32)
        keypoints = cameras[:, None, :1] * (joints[:, :19, :2] + cameras[:, None, 1:])
        return {
            "time": np.array(frames) / RATE,
            "smpl_shape": self.shape[frames],
            "smpl_pose": self.pose[frames],
            "3d_keypoints": joints,
            "2d_keypoints": keypoints,
            "cameras": cameras,
            "vertices": vertices,
        }

    def dancer(self, frame: int) -> Dancer:
        """The body in one frame, where the dataset's viewer draws its mesh."""
        vertices = self.vertices[frame].astype(np.float64)
        scale, offset = float(self.cameras[frame, 0]), self.cameras[frame, 1:].astype(np.float64)
        nearness = 100 / (100 + vertices[:, 2:])
        pixels = HEIGHT * scale * (vertices[:, :2] * nearness + offset)
        faces = np.asarray(self.model.faces).astype(np.int64)
        return Dancer(self.in_stage_axes[frame], pixels, self.rest, faces, self.floor)

    def _extra_regressor(self) -> Floats:
        rows = np.zeros((len(EXTRA_JOINTS), len(self.rest)), dtype=np.float32)
        for row, place in zip(rows, EXTRA_JOINTS, strict=True):
            row[np.argmin(np.linalg.norm(self.rest - place, axis=1))] = 1
        return rows


def _seen_from_camera(move: Move) -> Floats:
    """The dance's poses (T, 72) with the global orientation in camera axes."""
    pose = move.pose.copy()
    pose[:, :3] = (CAMERA_TURN * Rotation.from_rotvec(pose[:, :3])).as_rotvec()
    return pose.astype(np.float32)


def _camera(second: float) -> Camera:
    """A gentle pan and zoom, with a little of the unrest of a hand."""
    keys = np.array(CAMERA_KEYS)
    index = int(np.clip(np.searchsorted(keys[:, 0], second, "right"), 1, len(keys) - 1))
    before, after = keys[index - 1], keys[index]
    part = (second - before[0]) / (after[0] - before[0])
    part = part * part * (3 - 2 * part)
    scale, x, y = before[1:] * (1 - part) + after[1:] * part
    x += 0.003 * np.sin(2.9 * second) + 0.0015 * np.sin(7.1 * second + 1)
    y += 0.003 * np.sin(2.3 * second + 2) + 0.0012 * np.sin(6.3 * second)
    return Camera(float(scale), (float(x / scale), float(y / scale)))


# ---- the pickle ----------------------------------------------------------------------------


def python2_pickle(arrays: dict[str, npt.NDArray[np.generic]]) -> bytes:
    """A dict of arrays as Python 2's cPickle wrote it: protocol 2, keys and data as byte strings.

    Python 3 cannot write that protocol's byte strings: it spells them as Latin-1 text and a call
    to encode it, half as large again.
    """
    body = b"".join(_string(key) + _array(array) for key, array in arrays.items())
    return b"\x80\x02}(" + body + b"u."


def _array(array: npt.NDArray[np.generic]) -> bytes:
    """numpy.core.multiarray._reconstruct(ndarray, (0,), 'b') and the array's state."""
    kind = array.dtype.newbyteorder("<")
    dtype = (
        b"cnumpy\ndtype\n"
        + _string(kind.str[1:])
        + b"K\x00K\x01\x87R(K\x03"
        + _string("<")
        + b"NNN"
        + 2 * (b"J" + struct.pack("<i", -1))
        + b"K\x00tb"
    )
    shape = b"(" + b"".join(b"J" + struct.pack("<i", n) for n in array.shape) + b"t"
    data = np.ascontiguousarray(array, dtype=kind).tobytes()
    return (
        b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85"
        + _string("b")
        + b"\x87R(K\x01"
        + shape
        + dtype
        + b"\x89"
        + b"T"
        + struct.pack("<i", len(data))
        + data
        + b"tb"
    )


def _string(text: str) -> bytes:
    return b"U" + bytes([len(text)]) + text.encode("ascii")


# ---- the video -----------------------------------------------------------------------------


def write_video(path: Path, scene: Scene) -> None:
    """Draws all frames and writes them with the sound as H.264 and AAC."""
    backdrop = Backdrop(scene.floor)
    rng = np.random.default_rng(SEED)
    with av.open(str(path), "w", options={"movflags": "+faststart"}) as container:
        video = container.add_stream("libx264", rate=RATE)
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        video.time_base = Fraction(1, RATE)
        video.thread_count = 1
        video.options = {"preset": "veryslow", "crf": "18"}
        audio = container.add_stream("aac", rate=SAMPLE_RATE, layout="stereo")
        audio.bit_rate = 96000
        for i in range(N_FRAMES):
            camera = scene.stage_cameras[i]
            picture = draw_dancer(
                backdrop.frame(camera, WIDTH, HEIGHT), camera, scene.dancer(i)
            ).astype(np.float64)
            picture += NOISE * rng.normal(size=(HEIGHT, WIDTH, 1))
            frame = av.VideoFrame.from_ndarray(
                np.clip(picture + 0.5, 0, 255).astype(np.uint8), format="rgb24"
            )
            frame.pts, frame.time_base = i, Fraction(1, RATE)
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        sound = (np.clip(music(), -1, 1) * 32767).astype(np.int16)
        samples = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(sound.reshape(1, -1)), format="s16", layout="stereo"
        )
        samples.sample_rate, samples.pts = SAMPLE_RATE, 0
        samples.time_base = Fraction(1, SAMPLE_RATE)
        container.mux(audio.encode(samples))
        container.mux(audio.encode(None))


def music() -> Array:
    """(samples, 2): drums and a bass on the dance's beats."""
    rng = np.random.default_rng(SEED)
    length = SAMPLE_RATE * N_FRAMES // RATE
    track = np.zeros((length + SAMPLE_RATE, 2))

    def add(beat: float, sound: Array, left: float, right: float) -> None:
        start = round(beat * BEAT_SEC * SAMPLE_RATE)
        track[start : start + len(sound)] += sound[:, None] * (left, right)

    def seconds(duration: float) -> Array:
        return np.arange(round(duration * SAMPLE_RATE)) / SAMPLE_RATE

    t = seconds(0.28)
    kick = np.sin(2 * np.pi * (48 * t + 5.5 * (1 - np.exp(-t / 0.03)))) * np.exp(-t / 0.09)
    t = seconds(0.20)
    hiss = np.diff(rng.normal(size=len(t) + 1))
    clap = hiss * np.exp(-t / 0.05) * (1 + (np.abs(t - 0.012) < 0.003))
    t = seconds(0.06)
    hat = np.diff(rng.normal(size=len(t) + 2), 2) * np.exp(-t / 0.012)
    for beat in np.arange(8.0):
        add(beat, kick, 0.62, 0.62)
        add(beat + 0.5, hat, 0.05, 0.07)
        add(beat + 0.75, hat, 0.03, 0.02)
        if beat % 2:
            add(beat, clap, 0.11, 0.09)
    notes = [(0.5, 45), (1.5, 45), (1.75, 48), (2.5, 50), (3.5, 50), (3.75, 48)]
    notes += [(4.5, 41), (5.5, 41), (5.75, 45), (6.5, 43), (7.25, 43)]
    for beat, key in notes:
        t = seconds(0.24)
        pitch = 440 * 2 ** ((key - 69) / 12)
        tone = sum(np.sin(2 * np.pi * k * pitch * t) / k**1.6 for k in range(1, 7))
        add(beat, tone * np.exp(-t / 0.12) * np.minimum(t / 0.004, 1), 0.20, 0.20)
    chords = [(0.0, [57, 60, 64]), (2.0, [57, 62, 65]), (4.0, [53, 57, 60]), (6.0, [55, 59, 62])]
    chords += [(7.25, [57, 60, 64, 69])]
    for beat, keys in chords:
        t = seconds(0.8)
        for place, key in enumerate(keys):
            tone = np.sin(2 * np.pi * 440 * 2 ** ((key - 69) / 12) * t)
            shaped = tone * np.exp(-t / 0.3) * np.minimum(t / 0.01, 1)
            add(beat, shaped, 0.05 + 0.02 * (place % 2), 0.07 - 0.02 * (place % 2))
    end = np.minimum(1, np.arange(length)[::-1] / (0.04 * SAMPLE_RATE))
    mix: Array = np.tanh(1.1 * track[:length]) * 0.8 * end[:, None]
    return mix


if __name__ == "__main__":
    main()
