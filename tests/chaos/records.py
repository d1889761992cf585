"""What the storm's processes wrote down: a line per task, read as it grows."""

from __future__ import annotations

from collections import Counter
from pathlib import Path


class Records:
    """The files `<kind>-*` of a folder; `lines` counts what was read by the last `update()`."""

    def __init__(self, folder: Path, kind: str) -> None:
        self.lines: Counter[str] = Counter()
        self._folder = folder
        self._kind = kind
        self._read: dict[Path, int] = {}  # bytes

    def update(self) -> Counter[str]:
        for path in self._folder.glob(f"{self._kind}-*"):
            start = self._read.get(path, 0)
            if path.suffix != ".log" and path.stat().st_size > start:
                with path.open("rb") as file:
                    file.seek(start)
                    whole, end, _ = file.read().rpartition(b"\n")
                self.lines.update(whole.decode().splitlines())
                self._read[path] = start + len(whole) + len(end)
        return self.lines
