"""Keys of built things: a hash of all that goes into them, so that a second run can tell whether to build again."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

IGNORED = {"__pycache__", ".DS_Store"}


def key_of(texts: Iterable[str] = (), paths: Iterable[Path] = (), root: Path | None = None) -> str:
    """Twelve hex digits over the texts in order and all files under the paths (names relative to `root`, and bytes)."""
    digest = hashlib.sha256()
    for text in texts:
        digest.update(f"text {len(text)} {text}".encode())
    for path in sorted(paths):
        for file in files_under(path):
            content = file.read_bytes()
            name = file.relative_to(root) if root else file.name
            digest.update(f"file {name} {len(content)} ".encode())
            digest.update(content)
    return digest.hexdigest()[:12]


def files_under(path: Path) -> list[Path]:
    """The file itself, or all files below the folder, sorted."""
    if path.is_file():
        return [path]
    return sorted(file for file in path.rglob("*") if file.is_file() and not IGNORED.intersection(file.parts))
