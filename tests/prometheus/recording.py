"""Scrapes with their times, as OpenMetrics text that promtool makes into a database."""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

PREFIX = "streamqueue_"


@dataclass
class Recording:
    """The operator's own families; lines of one family stay together, as the format wants it."""

    types: dict[str, str] = field(default_factory=dict)
    lines: dict[str, list[str]] = field(default_factory=dict)

    def add(self, page: str, time: float, target: Mapping[str, str]) -> None:
        """One scrape (Prometheus text) at a unix time; `target` labels what has no such label of its own."""
        for family in text_string_to_metric_families(page):
            if not family.name.startswith(PREFIX):
                continue
            self.types[family.name] = family.type
            for sample in family.samples:
                labels = ",".join(f'{name}="{value}"' for name, value in {**target, **sample.labels}.items())
                self.lines.setdefault(family.name, []).append(f"{sample.name}{{{labels}}} {sample.value} {time:.3f}")

    def text(self) -> str:
        """All of it, in OpenMetrics."""
        families = [f"# TYPE {name} {self.types[name]}\n" + "\n".join(lines) for name, lines in self.lines.items()]
        return "\n".join([*families, "# EOF", ""])

    def save(self, path: Path) -> None:
        """Compressed, and the same bytes for the same scrapes."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(self.text().encode(), mtime=0))
