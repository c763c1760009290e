"""Covers export_glb.py and gltf.py: files are read back by pygltflib, and by trimesh."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import trimesh
from gltf_reader import GltfClip
from scenes import CLIP_SEC, GAPS, mesh_of, part_of, sample_scene, upright
from synthetic import body_mesh

from bodies import ClipBody
from body_model import JOINT_NAMES
from export_glb import TOLERANCE_M, write_glb
from renderer import LIGHT_BLUE
from scene import ClipScene

RATE = 25
SEED = 11


def written(path: Path, scene: ClipScene) -> GltfClip:
    write_glb(path / "clip.partial", scene, LIGHT_BLUE)
    return GltfClip((path / "clip.partial").rename(path / "clip.glb"))


@pytest.fixture(scope="module", params=["skinned", "not skinned"])
def scene(request: pytest.FixtureRequest) -> ClipScene:
    return sample_scene(with_model=request.param == "skinned")


@pytest.fixture(scope="module")
def clip(scene: ClipScene, tmp_path_factory: pytest.TempPathFactory) -> GltfClip:
    return written(tmp_path_factory.mktemp("glb"), scene)


def test_every_vertex_of_every_label(scene: ClipScene, clip: GltfClip) -> None:
    for time, vertices in zip(scene.annotations.time, mesh_of(scene)[0], strict=True):
        difference = clip.vertices(float(time)) - upright(vertices)
        assert np.linalg.norm(difference, axis=1).max() <= TOLERANCE_M


def test_triangles_and_their_outside(scene: ClipScene, clip: GltfClip) -> None:
    faces = clip.array(clip.primitive.indices).reshape(-1, 3)
    assert np.array_equal(faces, mesh_of(scene)[1])
    corners = clip.vertices(0.0)[faces]
    volume = np.einsum("fa,fa->f", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])).sum() / 6
    assert 0.03 < volume < 0.2  # counter-clockwise from outside, and a person's litres


def test_normals_are_of_unit_length_and_point_outwards(clip: GltfClip) -> None:
    base = clip.array(clip.primitive.attributes.POSITION)
    normals = clip.array(clip.primitive.attributes.NORMAL)
    faces = clip.array(clip.primitive.indices).reshape(-1, 3)
    assert np.linalg.norm(normals, axis=1) == pytest.approx(1.0, abs=1e-5)
    corners = base[faces]
    outwards = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    assert (np.einsum("fia,fa->fi", normals[faces], outwards) > 0).mean() > 0.999


def test_the_animation_lasts_as_long_as_the_clip(scene: ClipScene, clip: GltfClip) -> None:
    assert clip.length == pytest.approx(CLIP_SEC)
    labels = scene.annotations.time.astype(np.float32)
    assert np.isin(labels, clip.key_times).all()


def test_hidden_where_no_label_is(clip: GltfClip) -> None:
    for frame in range(100):
        size = np.ptp(clip.vertices(frame / RATE, weighted=False), axis=0).max()
        is_labelled = not any(start <= frame < end for start, end in GAPS)
        assert size > 0.5 if is_labelled else size == 0


def test_trimesh_reads_the_mesh(scene: ClipScene, clip: GltfClip, tmp_path: Path) -> None:
    write_glb(tmp_path / "clip.glb", scene, LIGHT_BLUE)
    read = trimesh.load_scene(tmp_path / "clip.glb", process=False)
    (mesh,) = read.geometry.values()
    assert mesh.vertices.shape == clip.vertices(0.0).shape
    assert np.array_equal(mesh.faces, mesh_of(scene)[1])
    colour = np.array(mesh.visual.material.baseColorFactor)[:3] / 255
    assert colour == pytest.approx(np.array([0.381, 0.509, 0.708]), abs=0.01)  # LIGHT_BLUE as light


def test_the_skeleton_is_the_bodys(tmp_path: Path) -> None:
    scene = sample_scene()
    clip = written(tmp_path, scene)
    assert scene.body.model is not None
    names = [clip.document.nodes[joint].name for joint in clip.document.skins[0].joints]
    assert names == list(JOINT_NAMES)
    shape, pose = scene.annotations.shape, scene.annotations.pose
    _, joints = scene.body.model.forward(shape, pose)
    for row in (0, 30, 69):
        time = float(scene.annotations.time[row])
        assert clip.joints(time) == pytest.approx(upright(joints[row]), abs=1e-5)
    rest, _ = scene.body.model.forward(shape[:1], np.zeros_like(pose[:1]))
    assert clip.array(clip.primitive.attributes.POSITION) == pytest.approx(rest[0], abs=1e-5)


def test_a_few_megabytes(tmp_path: Path) -> None:
    write_glb(tmp_path / "skinned", sample_scene(), LIGHT_BLUE)
    assert (tmp_path / "skinned").stat().st_size < 4e6


def test_vertices_that_no_skin_can_follow(tmp_path: Path) -> None:
    """A wrist turned by half a turn pulls vertices onto the bone, and the file's are elsewhere."""
    scene = sample_scene()
    pose = scene.annotations.pose[:4].copy()
    assert scene.body.model is not None and scene.annotations.vertices is not None
    rest = scene.body.model.forward(scene.annotations.shape[:1], np.zeros_like(pose[:1]))[1][0]
    bone = rest[20] - rest[18]
    pose[:, 60:63] = bone / np.linalg.norm(bone) * np.pi
    rng = np.random.default_rng(SEED)
    vertices = scene.annotations.vertices[:4] + rng.normal(0, 0.1, (4, 6890, 3)).astype(np.float32)
    scene = part_of(scene, slice(4), pose=pose, vertices=vertices)
    clip = written(tmp_path, scene)
    assert clip.document.skins == []
    for time, expected in zip(scene.annotations.time, vertices, strict=True):
        assert clip.vertices(float(time)) == pytest.approx(upright(expected), abs=TOLERANCE_M)


@pytest.mark.parametrize("with_model", [True, False])
def test_a_single_label(tmp_path: Path, with_model: bool) -> None:
    scene = part_of(sample_scene(with_model), slice(20, 21))
    clip = written(tmp_path, scene)
    (vertices,) = mesh_of(scene)[0]
    assert clip.vertices(20 / RATE) == pytest.approx(upright(vertices), abs=TOLERANCE_M)
    assert clip.length == pytest.approx(CLIP_SEC)


def test_more_vertices_than_16_bits_count(tmp_path: Path) -> None:
    scene = part_of(sample_scene(False), slice(2))
    small, triangles = body_mesh()
    copies = 70000 // len(small)
    vertices = np.tile(small, (2, copies, 1))
    faces = np.concatenate([triangles.astype(np.int32) + i * len(small) for i in range(copies)])
    scene = dataclasses.replace(scene, body=ClipBody(vertices, "file", faces, None))
    clip = written(tmp_path, scene)
    assert np.array_equal(clip.array(clip.primitive.indices).reshape(-1, 3), faces)
    assert clip.vertices(0.0) == pytest.approx(upright(vertices[0]), abs=TOLERANCE_M)


def test_vertices_of_no_triangle_have_a_normal_too(tmp_path: Path) -> None:
    scene = part_of(sample_scene(False), slice(2))
    vertices = np.random.default_rng(SEED).normal(size=(2, 5, 3)).astype(np.float32)
    faces = np.array([[0, 1, 2], [3, 3, 3]], np.int32)
    scene = dataclasses.replace(scene, body=ClipBody(vertices, "file", faces, None))
    clip = written(tmp_path, scene)
    normals = clip.array(clip.primitive.attributes.NORMAL)
    assert np.linalg.norm(normals, axis=1) == pytest.approx(1.0, abs=1e-5)
