"""Small clips and pickles that tests make for themselves, and what a decoder says of a video."""

from __future__ import annotations

import dataclasses
import pickle
import struct
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

WIDTH, HEIGHT = 160, 120
BITS = 8
NTSC = Fraction(1001, 30000)
CLICK_SEC = Fraction(1, 2)  # the sound is silent up to here, in its own time
PLAIN = (90, 120, 60)

_BODY_RINGS, _BODY_SECTORS = 24, 32
BODY_RADII = (0.3, 0.8, 0.2)  # metres


def coded_picture(number: int, width: int = WIDTH, height: int = HEIGHT) -> Array:
    """(H, W, 3) uint8: the number as black or white bars across the upper third, grey below."""
    picture = np.full((height, width, 3), 100, np.uint8)
    bars = np.array([255 * (number >> bit & 1) for bit in range(BITS)], np.uint8)
    picture[: height // 3, : width // BITS * BITS] = np.repeat(bars, width // BITS)[:, None]
    return picture


def number_of(picture: Array) -> int:
    """What `coded_picture` was given."""
    height, width = picture.shape[:2]
    step = width // BITS
    row = picture[height // 6]
    return sum(int(row[step // 2 + bit * step].mean() > 127) << bit for bit in range(BITS))


@dataclasses.dataclass(frozen=True)
class Sound:
    """Silence up to `CLICK_SEC`, then a tone in every channel."""

    codec: str = "aac"
    layout: str = "mono"
    rate: int = 48000
    start: Fraction = Fraction(0)
    seconds: float = 1.0


def write_video(
    path: Path,
    ticks: Sequence[int] = range(25),
    time_base: Fraction = Fraction(1, 25),
    *,
    size: tuple[int, int] = (WIDTH, HEIGHT),
    picture: Callable[[int, int, int], Array] = coded_picture,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    gop: int = 12,
    b_frames: int = 0,
    options: Mapping[str, str] | None = None,
    container_options: Mapping[str, str] | None = None,
    aspect: Fraction | None = None,
    colour: tuple[int, int, int, int] | None = None,
    sound: Sound | None = None,
) -> Path:
    """One picture per tick; picture i shows the number i unless `picture` says otherwise.

    Picture and sound keep the times that they are given: nothing moves a start to zero.
    """
    quality = {
        "libx264": {"preset": "ultrafast", "crf": "1"},
        "libvpx-vp9": {"deadline": "realtime"},
    }
    moved = {"avoid_negative_ts": "disabled", **(container_options or {})}
    with av.open(str(path), "w", options=moved) as container:
        rate = Fraction(len(ticks), ticks[-1] - ticks[0] + 1) / time_base
        video: Any = container.add_stream(codec, rate=rate.limit_denominator(30000))
        video.width, video.height = size
        video.pix_fmt = pix_fmt
        context = video.codec_context
        context.time_base = video.time_base = time_base
        context.gop_size, context.max_b_frames = gop, b_frames
        context.options = {**quality.get(codec, {}), **(options or {})}
        if aspect is not None:
            context.sample_aspect_ratio = aspect
        if colour is not None:
            context.colorspace, context.color_range = colour[0], colour[1]
            context.color_primaries, context.color_trc = colour[2], colour[3]
        add_sound = _sound_writer(container, sound)
        for number, tick in enumerate(ticks):
            rgb = av.VideoFrame.from_ndarray(picture(number, *size), format="rgb24")
            frame = rgb.reformat(
                format=pix_fmt,
                dst_colorspace=colour[0] if colour else None,
                dst_color_range=colour[1] if colour else None,
            )
            frame.pts, frame.time_base = tick, time_base
            container.mux(video.encode(frame))
            add_sound(tick * time_base)
        container.mux(video.encode(None))
        add_sound(None)
    return path


def _sound_writer(container: Any, sound: Sound | None) -> Callable[[Fraction | None], None]:
    if sound is None:
        return lambda _: None
    stream = container.add_stream(sound.codec, rate=sound.rate, layout=sound.layout)
    stream.codec_context.options = {"strict": "experimental"}  # vorbis
    channels = stream.codec_context.layout.nb_channels
    time = np.arange(round(sound.seconds * sound.rate)) / sound.rate
    tone = np.where(time >= float(CLICK_SEC), 9000 * np.sin(time * 2 * np.pi * 440), 0)
    samples = np.repeat(tone.astype(np.int16), channels)[None]
    done = 0

    def add(until: Fraction | None) -> None:
        nonlocal done
        while done < len(time) and (
            until is None or sound.start + Fraction(done, sound.rate) <= until
        ):
            part = samples[:, done * channels : (done + 1024) * channels]
            frame = av.AudioFrame.from_ndarray(part, format="s16", layout=sound.layout)
            frame.sample_rate, frame.time_base = sound.rate, Fraction(1, sound.rate)
            frame.pts = round(sound.start * sound.rate) + done
            container.mux(stream.encode(frame))
            done += 1024
        if until is None:
            container.mux(stream.encode(None))

    return add


@dataclasses.dataclass(frozen=True)
class Decoded:
    """All that a decoder says of a video's pictures."""

    times: list[Fraction]
    pictures: list[Array]
    numbers: list[int]


def decode(path: Path) -> Decoded:
    """Times are in the file's own seconds, exact; pictures are not turned upright."""
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
        pictures = [frame.to_ndarray(format="rgb24") for frame in frames]
        times = [Fraction(frame.pts or 0) * Fraction(frame.time_base or 0) for frame in frames]
        return Decoded(times, pictures, [number_of(picture) for picture in pictures])


def sound_packets(path: Path) -> list[tuple[Fraction, bytes]]:
    """Time and content of every audio packet."""
    with av.open(str(path)) as container:
        return [
            (Fraction(packet.pts or 0) * Fraction(packet.time_base or 0), bytes(packet))
            for packet in container.demux(audio=0)
            if packet.size
        ]


def sound_samples(path: Path) -> tuple[Fraction, Array, int]:
    """Time of the first sample that a player plays, (channels, samples) float, samples a second."""
    with av.open(str(path)) as container:
        frames = list(container.decode(audio=0))
        start = Fraction(frames[0].pts or 0) * Fraction(frames[0].time_base or 0)
        samples = np.concatenate([_floats(frame) for frame in frames], axis=1)
        return start, samples, frames[0].sample_rate


def _floats(frame: av.AudioFrame) -> Array:
    """Not by `to_ndarray`, which reads past the end where there are eight channels (PyAV 18)."""
    dtype: Any = {"flt": np.float32, "s16": np.int16, "s32": np.int32}[frame.format.packed.name]
    channels = frame.layout.nb_channels
    if frame.format.is_planar:
        planes = [np.frombuffer(bytes(frame.planes[i]), dtype) for i in range(channels)]
        samples = np.stack([plane[: frame.samples] for plane in planes])
    else:
        packed = np.frombuffer(bytes(frame.planes[0]), dtype)[: frame.samples * channels]
        samples = packed.reshape(-1, channels).T
    return samples / float(np.iinfo(dtype).max) if dtype is not np.float32 else samples


def click_time(path: Path) -> float:
    """Seconds, in the file's time, at which the tone of `Sound` begins."""
    start, samples, rate = sound_samples(path)
    return float(start) + int(np.argmax(np.abs(samples[0]) > 0.05)) / rate


def damage_pictures(path: Path, numbers: Sequence[int]) -> Path:
    """Fills some packets of the video with zeros."""
    with av.open(str(path)) as container:
        packets = [bytes(packet) for packet in container.demux(video=0) if packet.size]
    data = path.read_bytes()
    for number in numbers:
        assert data.count(packets[number]) == 1
        data = data.replace(packets[number], bytes(len(packets[number])))
    path.write_bytes(data)
    return path


def turn(path: Path, degrees: int) -> Path:
    """Writes a display matrix into an mp4: players turn its picture clockwise by `degrees`."""
    rows = {
        90: (0, 1, -1, 0),
        180: (-1, 0, 0, -1),
        270: (0, -1, 1, 0),
    }
    a, b, c, d = (value << 16 for value in rows[degrees])
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 4 + 40
    data[at : at + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(data)
    return path


def body_mesh() -> tuple[Array, Array]:
    """A closed ellipsoid with `BODY_RADII`, as (V, 3) float32 metres and (F, 3) uint32 faces."""
    rings, sectors = _BODY_RINGS, _BODY_SECTORS
    polar = np.linspace(0, np.pi, rings + 1)[1:-1, None]
    around = np.linspace(0, 2 * np.pi, sectors, endpoint=False)[None]
    x, y = np.sin(polar) * np.cos(around), np.cos(polar) * np.ones_like(around)
    z = np.sin(polar) * np.sin(around)
    sphere = np.concatenate([[[0, 1, 0]], np.stack([x, y, z], -1).reshape(-1, 3), [[0, -1, 0]]])
    last = len(sphere) - 1
    faces = []
    for s in range(sectors):
        t = (s + 1) % sectors
        faces.append((0, 1 + t, 1 + s))
        faces.append((last, last - sectors + s, last - sectors + t))
        for r in range(rings - 2):
            a, b = 1 + r * sectors + s, 1 + r * sectors + t
            faces += [(a, b, a + sectors), (b, b + sectors, a + sectors)]
    vertices = (sphere * np.array(BODY_RADII)).astype(np.float32)
    return vertices, np.array(faces, np.uint32)


@dataclasses.dataclass(frozen=True)
class Body:
    """A pickle's content, and where its parts belong in the picture, in pixels.

    Attributes:
        content: what the pickle holds.
        centres: (N, 2) column and row of the ellipsoid's centre.
        radii: (N, 2) its half width and half height.
        joints: (N, 19, 2) column and row of the keypoints.
    """

    content: dict[str, Any]
    centres: Array
    radii: Array
    joints: Array


def body(
    times: Sequence[float],
    size: tuple[int, int] = (WIDTH, HEIGHT),
    *,
    convention: str = "inside",
    units: str = "height",
    rows: int = 19,
    key: str = "cameras",
    with_vertices: bool = True,
) -> Body:
    """An ellipsoid that moves to the right and grows, in one of the dataset's conventions."""
    width, height = size
    count = len(times)
    rng = np.random.default_rng(2)
    joints_3d = rng.uniform(-0.9, 0.9, (rows, 3)) * np.array(BODY_RADII)
    joints_3d = np.repeat(joints_3d[None], count, 0)
    scale = np.linspace(0.3, 0.4, count)  # frame heights per metre
    centres = np.column_stack(
        [np.linspace(0.35, 0.65, count) * width, np.linspace(0.55, 0.45, count) * height]
    )
    offset = centres / height
    joints = scale[:, None, None] * height * joints_3d[:, :19, :2] + centres[:, None]
    camera = np.column_stack([scale, offset / scale[:, None] if convention == "inside" else offset])
    vertices = np.repeat(body_mesh()[0][None], count, 0)
    content = {
        "time": np.array(times, np.float64),
        "smpl_shape": np.zeros((count, 10), np.float32),
        "smpl_pose": np.zeros((count, 72), np.float32),
        "3d_keypoints": joints_3d.astype(np.float32),
        "2d_keypoints": joints / (height if units == "height" else np.array([width, height])),
        key: camera,
    }
    if with_vertices:
        content["vertices"] = vertices
    radii = scale[:, None] * height * np.array(BODY_RADII)[:2]
    return Body(content, centres, radii, joints)


def write_pickle(path: Path, content: object) -> Path:
    """As the dataset's are written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps(content, protocol=2))
    return path


def write_faces(path: Path) -> Path:
    """The triangles of `body_mesh`."""
    np.save(path, body_mesh()[1])
    return path
