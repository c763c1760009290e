from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from coded_video import write_coded_video

import clip_cache
from clip_cache import ClipCache
from clip_names import ClipName
from errors import OutputError, VideoPrivateError

CLIP = ClipName("-V4_IAq3WJo", 2, 4)
OTHER = ClipName("KV4jIAq3WJo", 155, 165)
PROJECT = Path(clip_cache.__file__).parent


@pytest.fixture
def cache(tmp_path: Path) -> ClipCache:
    return ClipCache(tmp_path / "cache")


def _keep(cache: ClipCache, seconds: float) -> Path:
    with cache.lock(CLIP), cache.work_folder(CLIP) as folder:
        return cache.keep(CLIP, write_coded_video(folder / "made.mp4", seconds)).path


def test_a_kept_clip_is_found_and_nothing_else_is_left(cache: ClipCache) -> None:
    assert cache.find(CLIP) is None
    assert not cache.folder.exists()
    path = _keep(cache, 2)
    assert path == cache.folder / "clips" / "-V4_IAq3WJo_000002_000004.mp4"
    video = cache.find(CLIP)
    assert video is not None
    assert (video.path, video.start_sec, video.source, video.warnings) == (path, None, "cache", ())
    assert cache.find(OTHER) is None
    files = [p for p in cache.folder.rglob("*") if p.is_file() and p.parent.name != "locks"]
    assert files == [path]


def test_a_short_clip_is_found_with_a_warning(cache: ClipCache) -> None:
    _keep(cache, 1)
    video = cache.find(CLIP)
    assert video is not None
    assert video.warnings == ("-V4_IAq3WJo_2_4: the video is 1.0 s long instead of 2 s",)


def test_a_damaged_clip_is_not_found(cache: ClipCache) -> None:
    _keep(cache, 2).write_bytes(b"\0" * 1000)
    assert cache.find(CLIP) is None


def test_a_failure_is_remembered_for_the_same_way_of_asking(cache: ClipCache) -> None:
    error = VideoPrivateError("KV4jIAq3WJo_155_165: the video is private")
    cache.remember_failure(OTHER, error, "yt-dlp --proxy http://me:secret@proxy")
    remembered = cache.failure(OTHER, "yt-dlp --proxy http://me:secret@proxy")
    assert type(remembered) is VideoPrivateError
    assert str(remembered).startswith(str(error))
    assert "--retry_failed" in str(remembered)
    assert cache.failure(OTHER, "yt-dlp --cookies mine.txt") is None
    assert cache.failure(CLIP, "yt-dlp --proxy http://me:secret@proxy") is None
    (record,) = (cache.folder / "failed").iterdir()
    assert "secret" not in record.read_text()


def test_success_forgets_the_failure(cache: ClipCache) -> None:
    cache.remember_failure(CLIP, VideoPrivateError("x"), "a")
    _keep(cache, 2)
    assert cache.failure(CLIP, "a") is None


@pytest.mark.parametrize(
    "record",
    ["", "[]", "{}", '{"error": {"type": "exec", "message": ""}, "asked": "a"}', "\0"],
)
def test_a_damaged_record_is_no_record(cache: ClipCache, record: str) -> None:
    path = cache.folder / "failed" / "-V4_IAq3WJo_000002_000004.json"
    path.parent.mkdir(parents=True)
    path.write_text(record)
    assert cache.failure(CLIP, "a") is None


def test_only_errors_of_ours_come_out_of_a_record(cache: ClipCache) -> None:
    cache.remember_failure(CLIP, VideoPrivateError("x"), "a")
    (path,) = (cache.folder / "failed").iterdir()
    record = path.read_text()
    for name in ("OutputError", "PoseKineticsError", "__doc__", "nothing"):
        path.write_text(record.replace("VideoPrivateError", name))
        assert cache.failure(CLIP, "a") is None


def test_the_work_folder_goes_even_when_the_work_fails(cache: ClipCache) -> None:
    with pytest.raises(ZeroDivisionError), cache.lock(CLIP), cache.work_folder(CLIP) as folder:
        (folder / "part").write_text("x")
        raise ZeroDivisionError
    assert list((cache.folder / "work").iterdir()) == []


def test_debris_goes_but_not_the_work_of_the_living(cache: ClipCache) -> None:
    code = (
        "import sys, time, pathlib\n"
        "from clip_cache import ClipCache\n"
        "from clip_names import parse_clip_name\n"
        "cache, clip = ClipCache(pathlib.Path(sys.argv[1])), parse_clip_name(sys.argv[2])\n"
        "with cache.lock(clip), cache.work_folder(clip) as folder:\n"
        "    (folder / 'part').write_text('x')\n"
        "    print('ready', flush=True)\n"
        "    time.sleep(60)\n"
    )
    argv = [sys.executable, "-c", code, str(cache.folder), OTHER.padded_stem]
    worker = subprocess.Popen(argv, cwd=PROJECT, stdout=subprocess.PIPE, text=True)
    part = cache.folder / "work" / OTHER.padded_stem / "part"
    try:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "ready\n"
        with cache.lock(CLIP), cache.work_folder(CLIP):
            assert part.exists()
        os.kill(worker.pid, signal.SIGKILL)
        worker.wait()
        assert part.exists()
        with cache.lock(CLIP), cache.work_folder(CLIP):
            assert not part.parent.exists()
    finally:
        worker.kill()
        worker.communicate()


def test_a_lock_is_held_by_one_process_at_a_time(cache: ClipCache, tmp_path: Path) -> None:
    code = (
        "import sys, time, pathlib\n"
        "from clip_cache import ClipCache\n"
        "from clip_names import parse_clip_name\n"
        "cache, clip = ClipCache(pathlib.Path(sys.argv[1])), parse_clip_name(sys.argv[2])\n"
        "counter = pathlib.Path(sys.argv[3])\n"
        "for _ in range(5):\n"
        "    with cache.lock(clip):\n"
        "        count = int(counter.read_text())\n"
        "        time.sleep(0.002)\n"
        "        counter.write_text(str(count + 1))\n"
    )
    counter = tmp_path / "counter"
    counter.write_text("0")
    argv = [sys.executable, "-c", code, str(cache.folder), CLIP.stem, str(counter)]
    workers = [subprocess.Popen(argv, cwd=PROJECT) for _ in range(4)]
    assert [worker.wait() for worker in workers] == [0] * 4
    assert counter.read_text() == "20"


def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    started = time.monotonic()
    with (
        pytest.raises(OutputError, match=r"file/cache: cannot be written: Not a dir.*--cache_dir"),
        ClipCache(tmp_path / "file" / "cache").lock(CLIP),
    ):
        pass
    assert time.monotonic() - started < 5


def test_a_full_disk_says_where(cache: ClipCache) -> None:
    for name in (None, str(cache.folder / "work" / "x")):
        with (
            pytest.raises(OutputError, match=r"cache: cannot be written: No space .*--cache_dir"),
            cache.lock(CLIP),
            cache.work_folder(CLIP),
        ):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), name)
    assert list((cache.folder / "work").iterdir()) == []
