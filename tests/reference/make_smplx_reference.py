"""Writes smplx.npz: what the `smplx` package makes of the sample's body, to test ours against.

    pip install torch==2.13.0 smplx==0.1.28
    python tests/reference/make_smplx_reference.py

Only the numbers are kept, and of the vertices only some, so that tests need neither package.
Used by tests/test_body_model.py.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import smplx
import torch

SEED = 2015
FRAMES = 24
EVERY_NTH_VERTEX = 53
# By next to nothing, by next to half a turn, and by more than one.
SPECIAL_ANGLES = (0.0, 1e-9, 1e-7, 1e-5, 1e-3, 3.1415, np.pi - 1e-6, np.pi, np.pi + 1e-6, 3.2, 7.5)

HERE = Path(__file__).parent
BODY = HERE.parents[1] / "samples" / "body_model.npz"


def parameters() -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """(FRAMES, 10) shapes and (FRAMES, 72) poses; every second pose of special rotations only."""
    random = np.random.default_rng(SEED)
    axes = random.normal(size=(FRAMES, 24, 3))
    axes /= np.linalg.norm(axes, axis=-1, keepdims=True)
    angles = random.uniform(0, np.pi, (FRAMES, 24))
    angles[1::2] = random.choice(SPECIAL_ANGLES, (FRAMES // 2, 24))
    shapes = random.normal(0, 2, (FRAMES, 10))
    return shapes.astype(np.float32), (axes * angles[..., None]).reshape(FRAMES, 72).astype("f4")


def main() -> None:
    with np.load(BODY, allow_pickle=False) as file:
        arrays = smplx.utils.Struct(**{key: file[key] for key in file})
    body = smplx.SMPL("", data_struct=arrays, batch_size=FRAMES)
    shapes, poses = parameters()
    with torch.no_grad():
        posed = body(
            betas=torch.from_numpy(shapes),
            global_orient=torch.from_numpy(poses[:, :3]),
            body_pose=torch.from_numpy(poses[:, 3:]),
        )
    indices = np.arange(0, body.get_num_verts(), EVERY_NTH_VERTEX)
    np.savez_compressed(
        HERE / "smplx.npz",
        shapes=shapes,
        poses=poses,
        vertex_indices=indices.astype(np.int16),
        vertices=posed.vertices.numpy()[:, indices],
        joints=posed.joints.numpy()[:, :24],
    )


if __name__ == "__main__":
    main()
