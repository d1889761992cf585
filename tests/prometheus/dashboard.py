"""The dashboard's panels over the recording, in a real Prometheus; `python -m tests.prometheus.dashboard` draws them.

Grafana is not needed: each query of `files/dashboard.json` is run as Grafana would, and matplotlib draws the answers.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.prometheus.server import Prometheus, serving

ROOT = Path(__file__).parents[2]
DASHBOARD = ROOT / "charts" / "streamqueue" / "files" / "dashboard.json"
RECORDING = Path(__file__).with_name("recording.txt.gz")
PICTURE = ROOT / "docs" / "images" / "dashboard.png"

# As Grafana fills them in when all is chosen; its rate interval is four times that between scrapes.
VARIABLES = {"$namespace": ".*", "$queue": ".*", "$__rate_interval": "20s"}
UNITS = {"s": "seconds", "ops": "tasks per second", "short": ""}


@dataclass(frozen=True)
class Target:
    """One query of a panel, ready to run."""

    panel: str
    unit: str
    query: str
    legend: str

    def name(self, labels: dict[str, str]) -> str:
        """The legend of one series."""
        return re.sub(r"\{\{(\w+)\}\}", lambda found: labels.get(found[1], ""), self.legend)


def targets() -> Iterator[Target]:
    """Every query of the dashboard, panel by panel."""
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        for target in panel["targets"]:
            query = target["expr"]
            for name, value in VARIABLES.items():
                query = query.replace(name, value)
            yield Target(panel["title"], panel["fieldConfig"]["defaults"]["unit"], query, target["legendFormat"])


def draw(prometheus: Prometheus) -> None:
    """All panels in one picture."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    titles = list(dict.fromkeys(target.panel for target in targets()))
    figure, grid = pyplot.subplots(len(titles) // 2, 2, figsize=(14, 3.2 * len(titles) / 2), layout="constrained")
    axes = dict(zip(titles, grid.flat, strict=True))
    for target in targets():
        axis = axes[target.panel]
        axis.set_title(target.panel, loc="left", fontsize=11)
        axis.set_ylabel(UNITS[target.unit])
        for series in prometheus.range(target.query):
            axis.plot(*_points(series, prometheus.start), label=target.name(series["metric"]))
    for axis in axes.values():
        axis.set_ylim(bottom=0)
        axis.set_xlim(0, (prometheus.end - prometheus.start) / 60)
        axis.grid(alpha=0.3)
        axis.legend(fontsize=8, loc="upper right")
    for axis in grid[-1]:
        axis.set_xlabel("minutes")
    PICTURE.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(PICTURE, dpi=80, metadata={"Software": None})


def _points(series: dict[str, Any], start: float) -> tuple[list[float], list[float]]:
    """Minutes since the start, and values."""
    return [(time - start) / 60 for time, _ in series["values"]], [float(value) for _, value in series["values"]]


if __name__ == "__main__":
    with serving(RECORDING) as running:
        draw(running)
