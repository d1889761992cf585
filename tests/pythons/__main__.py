"""`python -m tests.pythons 3.14`: the path of that Python, which is fetched first where it is missing."""

from __future__ import annotations

import hashlib
import json
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

from tests.pythons.lock import LOCK
from tests.redis.servers.apt import AptError
from tests.redis.servers.cache import cache_folder
from tests.redis.servers.install import unpack_debian
from tests.redis.servers.lock import locked


def interpreter(version: str) -> Path:
    """It may be run, linked to and made environments of. Raises AptError and OSError."""
    packages = locked(LOCK)[version]
    key = hashlib.sha256(json.dumps([asdict(package) for package in packages]).encode()).hexdigest()[:12]
    home = cache_folder() / f"python-{version}-{key}"
    program = home / "usr/bin" / f"python{version}"
    if not home.exists():
        print(f"fetching Python {version} ({len(packages)} packages) ...", file=sys.stderr, flush=True)
        home.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=home.parent) as scratch:
            fresh = Path(scratch) / "root"
            for changed in unpack_debian(packages, Path(scratch), fresh):
                print(f"not as locked, but signed by the archive: {changed}", file=sys.stderr)
            _through_its_own_linker(fresh, home, program)
            if not home.exists():  # another run may have been quicker
                fresh.rename(home)
    return program


def _through_its_own_linker(fresh: Path, home: Path, program: Path) -> None:
    """Its C library is newer than the machine's. Python goes by the name it was called by, an environment's perhaps."""
    binary = fresh / program.relative_to(home)
    binary.rename(binary.with_suffix(f"{binary.suffix}.binary"))
    libraries = home / "usr/lib/x86_64-linux-gnu"
    linker = f"{libraries}/ld-linux-x86-64.so.2 --library-path {libraries}"
    binary.write_text(f'#!/bin/sh\nexec {linker} --argv0 "$0" {program}.binary "$@"\n')
    binary.chmod(0o755)


if __name__ == "__main__":
    try:
        print(interpreter(sys.argv[1]))
    except KeyError:
        sys.exit(f"error: no Python {sys.argv[1]} is locked; there are {', '.join(locked(LOCK))}")
    except (AptError, OSError) as error:
        sys.exit(f"error: Python {sys.argv[1]} cannot be had here: {error}")
