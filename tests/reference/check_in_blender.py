"""Opens a clip's glb and usd in Blender, and compares every label's vertices with its npz.

    pip install bpy==5.0.1                         # Blender as a package, Python 3.11, 1 GB
    python run_visualise.py --filename ... --outputs npz,glb,usd
    python tests/reference/check_in_blender.py results/<clip>

Not part of the test suite, because of bpy's size. It prints what it finds and exits with 1 where a
count differs, a vertex lies more than `TOLERANCE_M` away, the person does not stand upright, or is
seen where no label is.
"""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Any

import bpy
import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

TOLERANCE_M = 1e-4


def main(folder: Path) -> int:
    clip = dict(np.load(folder / f"{folder.name}.npz"))
    x, y, z = np.moveaxis(clip["vertices"], -1, 0)
    expected = np.stack([x, z, -y], -1)  # Blender: x right, y away from its front view, z up
    is_good = True
    for kind in ("glb", "usd"):
        path = folder / f"{folder.name}.{kind}"
        if path.exists():
            is_good &= _check(path, kind, clip, expected)
    return 0 if is_good else 1


def _check(path: Path, kind: str, clip: dict[str, Array], expected: Array) -> bool:
    numerator, denominator = clip["frame_rate"].tolist()
    rate = numerator / denominator
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    scene.render.fps = round(rate)
    scene.render.fps_base = round(rate) / rate
    if kind == "glb":
        bpy.ops.import_scene.gltf(filepath=str(path))
        rate = scene.render.fps * scene.render.fps_base  # the importer's; its quotient is meant
    else:
        bpy.ops.wm.usd_import(filepath=str(path))
    body = next(o for o in bpy.data.objects if o.type == "MESH" and len(o.data.vertices) > 100)
    errors = [
        np.linalg.norm(_vertices(body, time * rate) - vertices, axis=1).max()
        for time, vertices in zip(clip["time"], expected, strict=True)
    ]
    gaps = np.flatnonzero(np.diff(clip["time"]) > 3 / rate)
    hidden = [
        float(np.ptp(_vertices(body, clip["time"][[row, row + 1]].mean() * rate), axis=0).max())
        for row in gaps
    ]
    standing = _vertices(body, clip["time"][0] * rate)
    height, width = np.ptp(standing, axis=0)[[2, 0]]
    print(
        f"{path.name}: {len(body.data.vertices)} vertices, {len(body.data.polygons)} triangles, "
        f"{len(errors)} labels, greatest distance {max(errors) * 1e6:.1f} um; "
        f"modifiers {[modifier.type for modifier in body.modifiers]}; frames {scene.frame_start} "
        f"to {scene.frame_end}; {height:.2f} m high and {width:.2f} m wide; in the "
        f"{len(gaps)} gaps {hidden} m large"
    )
    return (
        len(body.data.vertices) == expected.shape[1]
        and len(body.data.polygons) == len(clip["faces"])
        and max(errors) <= TOLERANCE_M
        and height > width
        and (kind == "usd" or max(hidden, default=0.0) == 0.0)
    )


def _vertices(body: Any, frame: float) -> Array:
    """(V, 3) in the world, as Blender evaluates them at a frame."""
    whole = math.floor(frame + 1e-6)
    bpy.context.scene.frame_set(whole, subframe=max(0.0, frame - whole))
    evaluated = body.evaluated_get(bpy.context.evaluated_depsgraph_get())
    places = np.empty(3 * len(evaluated.data.vertices), np.float32)
    evaluated.data.vertices.foreach_get("co", places)
    world = np.array(evaluated.matrix_world)
    moved: Array = places.reshape(-1, 3) @ world[:3, :3].T + world[:3, 3]
    return moved


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
