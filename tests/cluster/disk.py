"""Whether the disks have room for a build from sources."""

import os
import shutil
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from tests.cluster.go_build import find_go
from tests.cluster.shell import HarnessError, answer

GIB = 1024**3
BUILD_CACHE, MODULE_CACHE, IMAGES = 7 * GIB, 3 * GIB, 5 * GIB  # measured


def shortage(needs: Mapping[Path, int], device: Mapping[Path, int], free: Mapping[int, int]) -> str | None:
    """One sentence about the first disk without room for what its folders still need (bytes), or None."""
    wanted: Counter[int] = Counter()
    for folder, size in needs.items():
        wanted[device[folder]] += size
    for number, size in wanted.items():
        if size > free[number]:
            folders = ", ".join(str(folder) for folder in needs if device[folder] == number)
            return (
                f"Building the node image needs {size / GIB:.0f} GiB of disk for {folders}; "
                f"{free[number] / GIB:.0f} GiB are free: make room and run this again."
            )
    return None


def check(*, go: bool) -> int:
    """Raise HarnessError where there isn't room; return the bytes that the build may still take."""
    docker_root = answer(["docker", "info", "--format", "{{.DockerRootDir}}"]) or "/"
    needs = {nearest(Path(docker_root)): IMAGES}
    if go:
        for variable, size in (("GOCACHE", BUILD_CACHE), ("GOMODCACHE", MODULE_CACHE)):
            folder = Path(answer([find_go() or "go", "env", variable]) or Path.home())
            needs[nearest(folder)] = needs.get(nearest(folder), 0) + max(size - used(folder), 0)
    device = {folder: folder.stat().st_dev for folder in needs}
    free = {device[folder]: shutil.disk_usage(folder).free for folder in needs}
    if sentence := shortage(needs, device, free):
        raise HarnessError(sentence)
    return sum(needs.values())


def nearest(folder: Path) -> Path:
    """The folder, or the nearest one above it that exists."""
    return next(path for path in (folder, *folder.parents) if path.is_dir())


def used(folder: Path) -> int:
    """Bytes of all files below the folder."""
    return sum(os.lstat(os.path.join(parent, name)).st_size for parent, _, names in os.walk(folder) for name in names)
