"""The locked Prometheus from the cache, downloaded first where missing."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.redis.servers.apt import AptError, Suite
from tests.redis.servers.cache import cache_folder
from tests.redis.servers.lock import Package

LOCK = Path(__file__).with_name("lock.json")


class CannotInstall(Exception):
    """Prometheus can't be had on this machine, and why."""


def command(program: str) -> tuple[str, ...]:
    """`prometheus` or `promtool`, through the dynamic linker of its own suite."""
    root = _home() / "root"
    libraries = root / "lib/x86_64-linux-gnu"
    linker = libraries / "ld-linux-x86-64.so.2"
    return (str(linker), "--library-path", str(libraries), str(root / "usr/bin" / program))


def promtool(*args: str | Path) -> subprocess.CompletedProcess[str]:
    """One call; whoever calls looks at the exit code."""
    return subprocess.run([*command("promtool"), *args], capture_output=True, text=True, check=False)


def _home() -> Path:
    locked = LOCK.read_bytes()
    home = cache_folder() / f"prometheus-{hashlib.sha256(locked).hexdigest()[:12]}"
    if not home.exists():
        home.parent.mkdir(parents=True, exist_ok=True)
        packages = [Package(**package) for package in json.loads(locked)]
        with tempfile.TemporaryDirectory(dir=home.parent) as scratch:
            try:
                fresh = _unpack(packages, Path(scratch))
            except (AptError, OSError) as error:
                raise CannotInstall(f"Prometheus cannot be had here: {error}") from None
            if not home.exists():  # another test run may have been quicker
                fresh.rename(home)
    return home


def _unpack(packages: list[Package], scratch: Path) -> Path:
    suite = Suite(packages[0].suite)
    suite.update()
    home, archives = scratch / "home", scratch / "archives"
    home.mkdir()
    archives.mkdir()
    try:
        suite.download([f"{package.name}={package.version}" for package in packages], archives)
    except AptError:
        # The archive keeps one version per suite; a security update replaces it.
        suite.download([package.name for package in packages], archives)
    for package in packages:
        archive = next(archives.glob(f"{package.name}_*.deb"))
        if hashlib.sha256(archive.read_bytes()).hexdigest() != package.sha256:
            print(f"not as locked, but signed by the archive: {archive.name}", file=sys.stderr)
        subprocess.run(["dpkg-deb", "-x", archive, home / "root"], check=True)
    return home
