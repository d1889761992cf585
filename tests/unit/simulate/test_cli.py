from __future__ import annotations

from pathlib import Path

import pytest

from streamqueue.simulate.__main__ import main
from streamqueue.simulate.text import sparkline
from streamqueue.simulate.trace import read_trace

QUEUE = """
apiVersion: v1
kind: Secret
metadata: {name: redis}
---
apiVersion: streamqueue.dev/v1alpha1
kind: StreamQueue
metadata: {name: orders}
spec:
  redis: {url: "redis://redis:6379/0"}
  stream: orders
  group: workers
  handler: {image: "registry.example/orders:1"}
  scaling: {maxReplicas: 50, targetWait: 30s}
"""


@pytest.fixture
def queue(tmp_path: Path) -> Path:
    path = tmp_path / "queue.yaml"
    path.write_text(QUEUE)
    return path


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    path = tmp_path / "arrivals.csv"
    path.write_text("at,service\n" + "".join(f"{i * 0.5},{1 + i % 3}\n" for i in range(1200)))
    return path


def test_a_manifest_on_a_trace_beside_keda(queue: Path, trace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["-f", str(queue), "--trace", str(trace), "--cold-start", "10s"]) == 0
    printed = capsys.readouterr().out
    assert "1,200 tasks in 0.17 h" in printed
    rows = [line.split("|")[1].strip() for line in printed.splitlines() if line.startswith("|")]
    assert rows[2:4] == ["StreamQueue", "KEDA defaults"]
    assert rows[4].startswith("KEDA ")
    assert printed.count("replicas ") == 3


def test_times_may_be_dates_and_out_of_order(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("2025-01-01T00:00:10+00:00,2\n2025-01-01T00:00:00+00:00,1\n")
    trace = read_trace(path)
    assert (trace.arrivals, trace.services) == ([0.0, 10.0], [1.0, 2.0])


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "holds no task"),
        ("1.0,2.0\nsoon,3\n", "line 2: 'soon', '3' is no arrival time"),
        ("1.0,2.0\n5\n", "line 2: wants an arrival time and service seconds"),
        ("1.0,-2.0\n", "line 1: a service time is seconds, 0 or more"),
        ("nan,1\n", "line 1: a service time is seconds, 0 or more, and both are finite"),
    ],
)
def test_a_bad_trace_is_one_line_and_exit_2(
    queue: Path, tmp_path: Path, content: str, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "bad.csv"
    path.write_text(content)
    assert main(["-f", str(queue), "--trace", str(path)]) == 2
    error = capsys.readouterr().err
    assert says in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("kind: Deployment\n", "wants one object of kind StreamQueue, has 0"),
        ("a: [\n", "no YAML"),
        ("kind: StreamQueue\n", "has no spec"),
        (QUEUE.replace("targetWait: 30s", "targetWait: soon"), "spec.scaling.targetWait"),
    ],
)
def test_a_bad_manifest_is_one_line_and_exit_2(
    trace: Path, tmp_path: Path, content: str, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(content)
    assert main(["-f", str(path), "--trace", str(trace)]) == 2
    error = capsys.readouterr().err
    assert says in error
    assert error.count("\n") == 1


def test_a_missing_file_is_named(queue: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["-f", str(queue), "--trace", "/nowhere/t.csv"]) == 2
    assert capsys.readouterr().err == "simulate: t.csv: No such file or directory\n"


def test_a_sparkline_fills_to_the_greatest() -> None:
    assert sparkline([0, 1, 2, 4, float("inf")]) == "▁▃▅██"
    assert sparkline([0, 0]) == "▁▁"
