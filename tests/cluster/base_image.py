"""The image that all others start from: a public Python one, or a Debian bootstrapped here."""

import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.cluster import docker
from tests.cluster.engine import install
from tests.cluster.keys import key_of
from tests.cluster.settings import DEBIAN
from tests.cluster.shell import HarnessError, run

PACKAGES = ("ca-certificates", "python3")
DROPPED = (
    "usr/share/doc", "usr/share/man", "usr/share/locale", "var/lib/apt/lists", "var/cache/apt", "var/log",
    "etc/resolv.conf", "etc/hostname",  # debootstrap copies this machine's own
)  # fmt: skip


def tag() -> str:
    """Carries the suite, the processor and a key over what goes in."""
    return f"local/python-base:{DEBIAN}-{key_of([DEBIAN, platform.machine(), *PACKAGES, *DROPPED])}"


def build(report: Callable[[str], None]) -> None:
    """Bootstrap Debian with Python into an image. Needs root; packages come from Debian's mirror."""
    if os.geteuid() != 0:
        raise HarnessError("No image can be pulled, and bootstrapping Debian instead needs root: run this as root.")
    if shutil.which("debootstrap") is None:
        install("debootstrap")
    with tempfile.TemporaryDirectory(prefix="streamqueue-base-") as folder:
        root = Path(folder) / "root"
        options = ["--variant=minbase", f"--include={','.join(PACKAGES)}"]
        run(["debootstrap", *options, DEBIAN, root], "debootstrap", report=report)
        for path in DROPPED:
            shutil.rmtree(root / path, ignore_errors=True)
            (root / path).unlink(missing_ok=True)
        for needed in ("var/log", "var/cache/apt/archives/partial", "var/lib/apt/lists/partial"):
            (root / needed).mkdir(parents=True)
        with subprocess.Popen(["tar", "-C", root, "-c", "."], stdout=subprocess.PIPE) as archive:
            docker.import_image(tag(), archive.stdout)
        if archive.returncode:
            raise HarnessError(f"tar of the bootstrapped Debian ended with {archive.returncode}")
