"""Where downloaded servers live between runs."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """`${XDG_CACHE_HOME:-~/.cache}/streamqueue/servers`."""
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "streamqueue" / "servers"
