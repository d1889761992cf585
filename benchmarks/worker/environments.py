"""A virtual environment per contender, in the cache folder: their pins on redis-py exclude each other."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import venv
from pathlib import Path

PARSER = "hiredis>=3"  # ours and the raw loop have it, too
REQUIREMENTS = {
    "taskiq": ["taskiq==0.11.*", "taskiq-redis==1.*", PARSER],
    "arq": ["arq==0.26.*", PARSER],
    "celery": ["celery[redis]==5.5.*", PARSER],
    "dramatiq": ["dramatiq[redis]==1.*", PARSER],
}


def python_of(contender: str) -> str:
    """The interpreter for `contender`; its environment is made where missing. Ours and the raw loop run in this one."""
    if contender not in REQUIREMENTS:
        return sys.executable
    wanted = REQUIREMENTS[contender]
    key = hashlib.sha256(" ".join([sys.version, *wanted]).encode()).hexdigest()[:12]
    cache = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "streamqueue/benchmarks"
    home = cache / f"{contender}-{key}"
    if not (home / "ready").exists():
        print(f"installing {contender} ...", file=sys.stderr, flush=True)
        venv.create(home, with_pip=True, clear=True)
        subprocess.run([home / "bin/pip", "install", "--quiet", "--disable-pip-version-check", *wanted], check=True)
        (home / "ready").touch()
    return str(home / "bin/python")


def version_of(contender: str) -> str:
    """The installed version of the contender's own package."""
    package = {"raw": "redis", "ours": "streamqueue"}.get(contender.partition("-")[0], contender)
    code = f"from importlib.metadata import version; print(version({package!r}))"
    return subprocess.run([python_of(contender), "-c", code], check=True, capture_output=True, text=True).stdout.strip()
