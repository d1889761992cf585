"""A server whose clock is ahead, by libfaketime: what scripts and leases go by, not what the machine goes by."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

from tests.redis.servers.cache import cache_folder
from tests.redis.servers.install import Server, unpack_debian
from tests.redis.servers.lock import Package

# Works with the C library of bookworm or a later suite, and not under jemalloc.
LIBRARY = Package(
    "bookworm", "libfaketime", "0.9.10-2.1", "b09481e7690680966005330c3f907bba4b5eefc35e1faaea4783cc55655d1150"
)


def ahead(server: Server, seconds: int) -> Server:
    """The same server, `seconds` ahead of everybody else."""
    *linker, binary = server.command
    environment = ("env", f"FAKETIME=+{seconds}s", "FAKETIME_DONT_FAKE_MONOTONIC=1")
    return replace(server, command=(*environment, *linker, "--preload", str(_library()), binary))


def _library() -> Path:
    home = cache_folder() / f"{LIBRARY.name}-{LIBRARY.sha256[:12]}"
    if not home.exists():
        with tempfile.TemporaryDirectory(dir=cache_folder()) as scratch:
            fresh = Path(scratch) / "root"
            unpack_debian([LIBRARY], Path(scratch), fresh)
            # Another test run may have been quicker.
            if not home.exists():
                fresh.rename(home)
    return next(home.rglob("libfaketime.so.1"))
