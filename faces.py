"""The triangles of a mesh, from `smpl_faces.npy`, which is fetched once where there is none.

    path = fetch_faces(platformdirs.user_cache_path("temporal-3d-pose-kinetics"))
    faces = load_faces(path, vertex_count=6890)                       # (13776, 3) int32

Covered by tests/test_faces.py.
"""

from __future__ import annotations

import hashlib
import http.client
import shlex
import time
import tokenize
import urllib.request
from pathlib import Path

import numpy as np
import numpy.typing as npt

from errors import FacesError, OutputError
from files import whole_file

FACES_FILE = "smpl_faces.npy"
FACES_URL = "https://github.com/akanazawa/hmr/raw/master/src/tf_smpl/smpl_faces.npy"
FACES_SHA256 = "51fc11ebadb0487d74bef220c4eea43f014609249f0121413c1fc629d859fecb"

_MOST_BYTES = 1_000_000  # SMPL's faces have 165,392
_CHUNK_BYTES = 65_536
_ANSWER_SECONDS = 10.0
_FETCH_SECONDS = 60.0


def load_faces(path: Path, vertex_count: int) -> npt.NDArray[np.int32]:
    """Reads the triangles of a mesh of `vertex_count` vertices.

    Returns:
        (F, 3) int32, the vertices of each triangle.

    Raises:
        FacesError: the file is missing or no such array, or it refers to vertices that the mesh
          does not have.
    """
    faces = _read_array(path)
    if faces.ndim != 2 or faces.shape[1] != 3 or not len(faces) or faces.dtype.kind not in "iu":
        raise FacesError(
            f"{path}: holds an array of shape {faces.shape} and dtype {faces.dtype}; expected "
            f"(F, 3) integers: {_REMEDY}"
        )
    if faces.min() < 0 or faces.max() >= vertex_count:
        raise FacesError(
            f"{path}: has vertex indices {faces.min()}…{faces.max()}; the mesh has {vertex_count} "
            "vertices: these are the faces of another body; give the right ones with "
            "--smpl_face_path"
        )
    return np.ascontiguousarray(faces, np.int32)


def fetch_faces(
    cache_folder: Path,
    url: str = FACES_URL,
    sha256: str = FACES_SHA256,
    seconds: float = _FETCH_SECONDS,
) -> Path:
    """SMPL's faces, as HMR publishes them: from the cache, or else from `url` into the cache.

    Args:
        cache_folder: where the file is kept; made if need be.
        url: where to fetch it from, over HTTP or HTTPS.
        sha256: the digest, in hexadecimal, that the file must have to be kept or used.
        seconds: how long fetching may take at most.

    Returns:
        The path of the file, whose digest has been checked.

    Raises:
        FacesError: it could not be fetched or kept, or is another file. Nothing was kept then.
    """
    path = cache_folder / FACES_FILE
    if _is_cached(path, sha256):
        return path
    by_hand = f"curl --create-dirs -L -o {shlex.quote(str(path))} {shlex.quote(url)}"
    try:
        content = _download(url, time.monotonic() + seconds)
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise FacesError(
            f"{path}: SMPL's faces are not there yet and could not be fetched: {_reason(error)}; "
            f"fetch them once with: {by_hand}"
        ) from error
    digest = hashlib.sha256(content).hexdigest()
    if digest != sha256:
        raise FacesError(
            f"{url}: has sha256 {digest} and {len(content)} bytes; expected {sha256}: it was not "
            "kept; give a smpl_faces.npy that you trust with --smpl_face_path"
        )
    try:
        with whole_file(path) as temporary:
            temporary.write_bytes(content)
    except OutputError as error:
        raise FacesError(
            f"{path}: cannot be written: {getattr(error.__cause__, 'strerror', error)}; fetch "
            f"{url} to another place and give it with --smpl_face_path"
        ) from error
    return path


_REMEDY = "give SMPL's smpl_faces.npy with --smpl_face_path"


def _read_array(path: Path) -> npt.NDArray[np.generic]:
    try:
        with path.open("rb") as file:
            is_array = file.read(6) == b"\x93NUMPY"
    except OSError as error:
        raise FacesError(f"{path}: cannot be read: {error.strerror or error}; {_REMEDY}") from error
    if not is_array:
        raise FacesError(f"{path}: is not an .npy file; {_REMEDY}")
    try:
        faces: npt.NDArray[np.generic] = np.load(path, allow_pickle=False)
    except (
        *(OSError, ValueError, TypeError, EOFError, MemoryError, ArithmeticError),
        *(SyntaxError, LookupError, tokenize.TokenError),  # from a header that makes no sense
    ) as error:
        raise FacesError(f"{path}: cannot be read: {_reason(error)}; {_REMEDY}") from error
    return faces


def _reason(error: Exception) -> str:
    """In one line: some of it is what a stranger's server or file says."""
    text = str(getattr(error, "reason", "")) or str(error) or type(error).__name__
    return ascii(" ".join(text[:200].split()))[1:-1]


def _is_cached(path: Path, sha256: str) -> bool:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest() == sha256
    except OSError:
        return False


def _download(url: str, deadline: float) -> bytes:
    """The content at `url`, up to a byte more than we would keep."""
    if not url.startswith(("https://", "http://")):
        raise ValueError(f"{url} is not a web address")
    content = bytearray()
    with urllib.request.urlopen(url, timeout=_ANSWER_SECONDS) as answer:  # noqa: S310  # checked
        while len(content) <= _MOST_BYTES:
            chunk = answer.read1(_CHUNK_BYTES)
            if not chunk:
                return bytes(content)
            content += chunk
            if time.monotonic() > deadline:
                raise TimeoutError("it takes too long")
    raise ValueError(f"it has more than {_MOST_BYTES} bytes")
