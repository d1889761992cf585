"""Installs an image's Python dependencies outside of it, from the lock file, for the image's Python."""

import os
import platform
import shutil
from pathlib import Path

from tests.cluster.keys import key_of
from tests.cluster.settings import PYTHON, REPOSITORY
from tests.cluster.shell import HarnessError, output, run

FOLDER = REPOSITORY / "dist" / "dependencies"
# What only the packages' own developers and installers need. Scripts, and with them the records, name this checkout's
# interpreter: with these left in, each checkout would build images of its own.
NEEDLESS = ("**/tests", "**/__pycache__", "bin", "*.dist-info/RECORD")


def install(name: str, extras: tuple[str, ...], groups: tuple[str, ...] = ()) -> Path:
    """The folder with the locked dependencies of the project, these extras and groups; made anew when they change."""
    uv = find_uv()
    chosen = [word for extra in extras for word in ("--extra", extra)]
    chosen += [word for group in groups for word in ("--group", group)]
    export = [uv, "export", "--quiet", "--frozen", "--no-default-groups", "--no-emit-project", "--no-header"]
    requirements = output([*export, "--project", REPOSITORY, *chosen])
    target, stamp = FOLDER / name, FOLDER / f"{name}.key"
    key = key_of([requirements, PYTHON, platform.machine(), *NEEDLESS])
    if target.is_dir() and stamp.exists() and stamp.read_text() == key:
        return target
    shutil.rmtree(target, ignore_errors=True)
    FOLDER.mkdir(parents=True, exist_ok=True)
    listing = FOLDER / f"{name}.txt"
    listing.write_text(requirements)
    options = ["--only-binary", ":all:", "--python-version", PYTHON]
    options += ["--python-platform", f"{platform.machine()}-manylinux_2_28"]
    command: list[str | Path] = [uv, "pip", "install", "--target", target, *options, "--requirements", listing]
    run(command, "dependencies")
    slim(target)
    stamp.write_text(key)
    return target


def slim(folder: Path) -> None:
    """Remove what is `NEEDLESS` in an image."""
    for path in [path for pattern in NEEDLESS for path in folder.glob(pattern)]:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def find_uv() -> str:
    """The uv that the Makefile chose, or the one on the PATH."""
    uv = os.environ.get("UV") or shutil.which("uv") or str(REPOSITORY / ".tools/bin/uv")
    if shutil.which(uv) is None:
        raise HarnessError("uv is missing: run this through `make`, or install it from https://docs.astral.sh/uv.")
    return uv
