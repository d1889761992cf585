"""A Prometheus on a free port of 127.0.0.1 that holds a recording."""

from __future__ import annotations

import gzip
import json
import subprocess
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.prometheus.install import command, promtool
from tests.redis.servers.process import free_port

STARTS_WITHIN = 30.0  # seconds


@dataclass(frozen=True)
class Prometheus:
    """Queries over the recording's own time, `start` to `end` in unix seconds."""

    url: str
    start: float
    end: float

    def range(self, query: str, step: float = 5.0) -> list[dict[str, Any]]:
        """The series that the query gives; ValueError with Prometheus's words where it can't be run."""
        values = {"query": query, "start": self.start, "end": self.end, "step": step}
        try:
            with urllib.request.urlopen(f"{self.url}/api/v1/query_range?{urllib.parse.urlencode(values)}") as answer:
                series: list[dict[str, Any]] = json.load(answer)["data"]["result"]
        except urllib.error.HTTPError as error:
            raise ValueError(f"{query}: {json.load(error)['error']}") from None
        return series


@contextmanager
def serving(recording: Path) -> Iterator[Prometheus]:
    """For as long as the block lasts."""
    with tempfile.TemporaryDirectory(prefix="streamqueue-prometheus-") as name:
        folder = Path(name)
        text = gzip.decompress(recording.read_bytes()).decode()
        (folder / "recording").write_text(text)
        (folder / "prometheus.yml").write_text("")
        made = promtool("tsdb", "create-blocks-from", "openmetrics", folder / "recording", folder / "data")
        if made.returncode:
            raise ValueError(f"{recording.name}: {made.stderr.strip()}")
        times = [float(line.rpartition(" ")[2]) for line in text.splitlines() if not line.startswith("#")]
        port = free_port()
        options = [f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data"]
        options += [f"--web.listen-address=127.0.0.1:{port}", "--storage.tsdb.retention.time=100y"]
        with (folder / "log").open("w") as log:
            process = subprocess.Popen([*command("prometheus"), *options], stdout=log, stderr=log)
        try:
            url = f"http://127.0.0.1:{port}"
            _await_ready(url, process, folder / "log")
            yield Prometheus(url, min(times), max(times))
        finally:
            process.terminate()
            process.wait()


def _await_ready(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + STARTS_WITHIN
    while True:
        try:
            urllib.request.urlopen(f"{url}/-/ready").close()
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"Prometheus did not start: {log.read_text()[-500:]}") from None
            time.sleep(0.1)
        else:
            return
