"""The release before this one, to upgrade from: chart and operator of a commit of this repository.

A copy without that commit has no previous release: its own chart and code then stand in, under the other tag.
"""

import io
import shutil
import zipfile
from dataclasses import dataclass
from pathlib import Path

from tests.cluster import dependencies, docker
from tests.cluster.keys import key_of
from tests.cluster.settings import CACHE, REPOSITORY
from tests.cluster.shell import answer, output_bytes

COMMIT = "5e04fa47c39519436407f4dcd827621f844ee640"
TAG = "streamqueue/operator:previous"
LABEL = "dev.streamqueue.inputs"
EXTRAS = ("operator", "entra")

_PATHS = ("operator/streamqueue", "charts/streamqueue")
_DEPENDENCIES = "dist/dependencies/operator"  # of this tree: the lock file may have moved on


@dataclass(frozen=True)
class Release:
    """Where its files are, and what to call it."""

    folder: Path
    name: str

    @property
    def chart(self) -> Path:
        return self.folder / "charts" / "streamqueue"


def release() -> Release:
    """The commit's files, unpacked into the cache where they aren't there yet; or this tree."""
    if answer(["git", "-C", REPOSITORY, "cat-file", "-e", f"{COMMIT}^{{commit}}"]) is None:
        return Release(REPOSITORY, "this very tree, for its history lacks the release before")
    folder = CACHE / "previous" / COMMIT[:12]
    if not folder.exists():
        partial = folder.with_suffix(".partial")
        archive = output_bytes(["git", "-C", REPOSITORY, "archive", "--format=zip", COMMIT, *_PATHS])
        with zipfile.ZipFile(io.BytesIO(archive)) as files:
            files.extractall(partial)
        partial.rename(folder)
    return Release(folder, f"commit {COMMIT[:7]}")


def build(base: str) -> bool:
    """Build its image, with this tree's Dockerfile and dependencies; whether that was needed."""
    found = release()
    packages = dependencies.install("operator", EXTRAS)
    files = [REPOSITORY / "Dockerfile", found.folder / "operator" / "streamqueue"]
    inputs = key_of([docker.image_id(base) or base], [*files, packages])
    if docker.label(TAG, LABEL) == inputs:
        return False
    context = REPOSITORY if found.folder == REPOSITORY else _with_packages(found.folder, packages)
    docker.build(TAG, files[0], context, arguments={"BASE": base}, labels={LABEL: inputs})
    return True


def _with_packages(folder: Path, packages: Path) -> Path:
    """The build context: docker follows no link out of it."""
    target = folder / _DEPENDENCIES
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(packages, target)
    return folder
