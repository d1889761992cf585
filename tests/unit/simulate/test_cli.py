"""`streamqueue simulate` as people call it, on traces from files."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import click
import pytest

from streamqueue.cli.main import run
from streamqueue.cli.trial.types import NODES
from streamqueue.simulate import text
from streamqueue.simulate.cluster import Nodes
from streamqueue.simulate.text import HEADERS, Progress, sparkline
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
    assert run(["simulate", "-f", str(queue), "--trace", str(trace), "--cold-start", "10s"]) == 0
    printed = capsys.readouterr().out
    assert "1,200 tasks in 0.17 h" in printed
    rows = [line.split("|")[1].strip() for line in printed.splitlines() if line.startswith("|")]
    assert rows[2:4] == ["StreamQueue", "KEDA defaults"]
    lines = [line for line in printed.splitlines() if line.startswith("|")]
    assert {len(line) for line in lines} == {len(lines[0])} and all(line.endswith(" |") for line in lines)
    assert tuple(cell.strip() for cell in lines[0].strip("|").split("|")) == HEADERS
    assert rows[4].startswith("KEDA ")
    assert printed.count("replicas ") == 3


def test_the_end_of_the_second_process_is_one_line_and_exit_1(queue: Path, tmp_path: Path) -> None:
    trace = tmp_path / "long.csv"
    trace.write_text("".join(f"{i * 0.05},2\n" for i in range(200_000)))
    with started(queue, trace) as first:
        os.kill(second_of(first), signal.SIGKILL)
        _, error = first.communicate(timeout=60)
    assert first.returncode == 1
    assert "--only leaves KEDA out" in error and error.count("\n") == 1


def test_ctrl_c_as_the_second_process_starts_is_exit_130_without_a_word(queue: Path, trace: Path) -> None:
    """A terminal sends it to both, and Python says a lot of one that comes while it loads modules."""
    with started(queue, trace) as first:
        status = Path(f"/proc/{second_of(first)}/status")
        while not re.search(r"^SigCgt:\s\w*[2367abef]$", status.read_text(), re.MULTILINE):  # it would be heard
            assert first.poll() is None
        os.killpg(first.pid, signal.SIGINT)
        said = first.communicate(timeout=60)
    assert (first.returncode, "".join(said).strip()) == (130, "")


@pytest.mark.parametrize("what", ["--trace", "-f"])
def test_ctrl_c_while_a_file_is_read_is_exit_130(queue: Path, trace: Path, what: str, tmp_path: Path) -> None:
    """As of `-f -` before anything was typed."""
    os.mkfifo(fifo := tmp_path / "fifo")
    with started(*((queue, fifo) if what == "--trace" else (fifo, trace))) as first, fifo.open("w"):
        first.send_signal(signal.SIGINT)
        said = first.communicate(timeout=60)
    assert (first.returncode, "".join(said).strip()) == (130, "")


def started(queue: Path, trace: Path) -> subprocess.Popen[str]:
    """As a group of its own, which Ctrl-C ends: what a job in the background starts would ignore it."""
    words = ["simulate", "-f", str(queue), "--trace", str(trace)]
    script = f"from streamqueue.cli.main import run; exit(run({words!r}))"
    return subprocess.Popen(
        [sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        process_group=0,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )


def second_of(first: subprocess.Popen[str]) -> int:
    """The process that plays KEDA, as soon as it is there."""
    children = Path(f"/proc/{first.pid}/task/{first.pid}/children")
    while not (found := [pid for pid in children.read_text().split() if _plays(pid)]):
        assert first.poll() is None
    return int(found[0])


def _plays(pid: str) -> bool:
    return "spawn_main" in Path(f"/proc/{pid}/cmdline").read_text()


def test_the_plot_is_a_picture_and_the_figures_are_json(
    queue: Path, trace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picture = tmp_path / "day.png"
    words = ["simulate", "-f", str(queue), "--trace", str(trace), "--only", "--plot", str(picture), "-o", "json"]
    assert run(words) == 0
    assert picture.read_bytes().startswith(b"\x89PNG")
    (row,) = json.loads(capsys.readouterr().out)
    assert row["law"] == "StreamQueue" and row["late"] <= 0.05


def test_the_program_loads_no_simulator_until_asked(tmp_path: Path) -> None:
    """Completion and the other commands stay quick, and work where matplotlib and numpy are missing."""
    script = (
        "import sys; import streamqueue.cli.main; "
        "print([m for m in sys.modules if m.split('.')[0] in ('numpy', 'matplotlib') or 'streamqueue.simulate' in m])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize(
    ("missing", "words", "code", "says"),
    [
        ("matplotlib", ["--plot", "a.png"], 2, "pip install 'streamqueue[simulate]'"),
        ("numpy", ["--only"], 0, ""),
    ],
)
def test_a_missing_extra_is_named_before_anything_runs(
    queue: Path, trace: Path, missing: str, words: list[str], code: int, says: str
) -> None:
    words = ["simulate", "-f", str(queue), "--trace", str(trace), *words]
    script = (
        f"import sys; sys.modules[{missing!r}] = None; from streamqueue.cli.main import run; sys.exit(run({words!r}))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (done.returncode, bool(done.stdout)) == (code, code == 0)
    assert says in done.stderr


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "give one of --trace CSV and --from-stream"),
        (["--trace", "t.csv", "--service", "2s"], "--since and --service belong to --from-stream"),
        (["--trace", "t.csv", "--nodes", "3"], "is not FIRST:PODS:LIMIT"),
        (["--trace", "t.csv", "--cold-start", "soon"], "soon"),
        (["--trace", "t.csv", "--cold-start-sigma", "9"], "is not in the range 0<=x<=3"),
        (["--trace", "t.csv", "--plot", "/nowhere/a.png"], "there is no folder '/nowhere'"),
        (["--trace", "t.csv", "--plot", ""], "--plot names no file"),
    ],
)
def test_bad_options_are_one_line_and_exit_2(
    queue: Path, trace: Path, words: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [str(trace) if word == "t.csv" else word for word in words]
    assert run(["simulate", "-f", str(queue), *words]) == 2
    error = capsys.readouterr().err
    assert says in error and error.count("\n") == 1


def test_a_byte_order_mark_blank_lines_and_a_header_are_no_tasks(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    for header in (b"at,service,note\r\n", b""):
        path.write_bytes(b"\xef\xbb\xbf" + header + b"3,1,x\r\n\r\n  \r\n 2 , 4 ,\r\n")
        trace = read_trace(path)
        assert (trace.arrivals, trace.services) == ([0.0, 1.0], [4.0, 1.0])


def test_times_may_be_dates_and_out_of_order(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("2025-01-01T00:00:10+00:00,2\n 2025-01-01T00:00:00+00:00 ,1\n")
    trace = read_trace(path)
    assert (trace.arrivals, trace.services) == ([0.0, 10.0], [1.0, 2.0])


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "holds no task"),
        ("1.0,2.0\nsoon,3\n", "line 2: 'soon', '3' is no arrival time"),
        ("2025-01-01T00:00:00+00:00,1\nsoon,3\n", "line 2: 'soon', '3' is no arrival time"),
        ("1.0,2.0\n5\n", "line 2: wants an arrival time and service seconds"),
        ("1.0,-2.0\n", "line 1: a service time is seconds, 0 to 10000000"),
        ("1.0,20000000\n", "line 1: a service time is seconds, 0 to 10000000"),
        ("nan,1\n", "line 1: a service time is seconds, 0 to 10000000, and both are finite"),
        ("-inf,1\n", "and both are finite"),
        ("0;1\n2;1\n", "line 1: wants an arrival time and service seconds, separated by a comma"),
        ("at,service\n", "holds no task"),
        ('1,2\n"' + "x" * 200_000 + "\n", "no CSV: field larger than field limit"),
        ("0,1\n1790000000000,1\n", "line 2: '1790000000000' is far from now: arrival times are seconds"),
        ("-1790000000000,1\n", "is far from now"),
        ("\udc8b,1\n", "no UTF-8 text"),
        ("\n\nat,service\nsoon,3\n", "line 4: 'soon', '3' is no arrival time"),
        ("0001-01-01T00:00:00,1\n0001-01-01T00:00:00,1\n", "line 2: '0001-01-01T00:00:00', '1' is no arrival time"),
    ],
)
def test_a_bad_trace_is_one_line_and_exit_2(
    queue: Path, tmp_path: Path, content: str, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "bad.csv"
    path.write_text(content, errors="surrogateescape")
    assert run(["simulate", "-f", str(queue), "--trace", str(path)]) == 2
    error = capsys.readouterr().err
    assert says in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("kind: Deployment\n", "wants one object of kind StreamQueue, has 0"),
        ("a: [\n", "no YAML"),
        ("a: 2026-13-01\n", "no YAML: month must be in 1..12"),
        *((f"a: {each}\n", "a value doesn't fit its tag") for each in ("!!bool maybe", "!!timestamp soon", "!!int ''")),
        ("- a\n", "wants one object of kind StreamQueue, has 0"),
        ("kind: List\nitems: [5]\n", "wants one object of kind StreamQueue, has 0"),
        ("kind: StreamQueue\nspec: {}\n", "has no metadata.name that is a string: None"),
        ("kind: StreamQueue\nmetadata: {name: orders}\n", "has no spec"),
        (QUEUE.replace("targetWait: 30s", "targetWait: soon"), "spec.scaling.targetWait"),
    ],
)
def test_a_bad_manifest_is_one_line_and_exit_2(
    trace: Path, tmp_path: Path, content: str, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(content)
    assert run(["simulate", "-f", str(path), "--trace", str(trace)]) == 2
    error = capsys.readouterr().err
    assert says in error
    assert error.count("\n") == 1


@pytest.fixture
def pipeline(tmp_path: Path) -> Path:
    path = tmp_path / "pipeline.yaml"
    path.write_text(QUEUE + "---" + QUEUE.replace("name: orders", "name: paid").replace("30s", "30s, paused: true"))
    return path


def test_of_two_queues_of_one_name_none_can_be_chosen(
    pipeline: Path, trace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pipeline.write_text(pipeline.read_text().replace("paid", "orders"))
    assert run(["simulate", "-f", str(pipeline), "--trace", str(trace), "--queue", "orders"]) == 2
    assert "pipeline.yaml holds 2 of the name orders" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["simulate", "--trace", "arrivals.csv"], ["dev", "--command", "true"]])
def test_of_several_queues_in_a_file_one_must_be_chosen(
    words: list[str], pipeline: Path, trace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command, *more = [str(trace) if word == trace.name else word for word in words]
    for chosen, says in (
        ([], "pipeline.yaml holds orders, paid: choose one by --queue NAME"),
        (["--queue", "pay"], "pipeline.yaml holds no StreamQueue 'pay'; there is orders, paid"),
    ):
        assert run([command, "-f", str(pipeline), *more, *chosen]) == 2
        assert capsys.readouterr().err == f"streamqueue: {says}\n"


def test_the_chosen_one_of_several_queues_is_simulated_and_a_paused_one_as_if_it_were_not(
    pipeline: Path, trace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["simulate", "-f", str(pipeline), "--trace", str(trace), "--only", "-o", "json", "--queue"]
    assert run([*words, "orders"]) == 0
    assert "is paused" not in capsys.readouterr().err
    assert run([*words, "paid"]) == 0
    printed = capsys.readouterr()
    assert "is paused" in printed.err
    assert json.loads(printed.out)[0]["late"] <= 0.05


@pytest.mark.parametrize("more", [["--queue", "orders", "some-queue"], ["one", "two"], ["one"]], ids=" ".join)
def test_words_that_mean_nothing_are_refused(
    more: list[str], trace: Path, queue: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = [] if "--queue" in more else ["-f", str(queue)]
    assert run(["simulate", *file, "--trace", str(trace), "--only", *more]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_a_plot_that_cannot_be_written_is_one_line_and_exit_1(
    queue: Path, trace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["simulate", "-f", str(queue), "--trace", str(trace), "--only", "--plot", "/dev/full"]) == 1
    assert capsys.readouterr().err == "streamqueue: --plot: /dev/full: No space left on device\n"


def test_a_missing_file_is_named(queue: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["simulate", "-f", str(queue), "--trace", "/nowhere/t.csv"]) == 2
    assert "'--trace': File '/nowhere/t.csv' does not exist" in capsys.readouterr().err
    for words in (["-f", str(queue), "--trace", "/proc/self/mem"], ["-f", "/proc/self/mem", "--trace", str(queue)]):
        assert run(["simulate", *words]) == 2
        assert capsys.readouterr().err == "streamqueue: mem: Input/output error\n"
    for words in (["-f", str(queue), "--trace", ""], ["-f", "", "--trace", str(queue)]):
        assert run(["simulate", *words]) == 2
        assert "File '' does not exist" in capsys.readouterr().err


def test_a_manifest_may_come_by_standard_input(
    queue: Path, trace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As with kubectl."""
    monkeypatch.setattr("sys.stdin", queue.open())
    assert run(["simulate", "-f", "-", "--trace", str(trace), "--only", "-o", "json"]) == 0
    assert "pod_hours" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("word", "nodes"),
    [("2:10:8", Nodes(2, 10, 8, 60.0)), ("0:1:1:0", Nodes(0, 1, 1, 0.0)), ("3:1:3:90", Nodes(3, 1, 3, 90.0))],
)
def test_nodes_as_people_type_them(word: str, nodes: Nodes) -> None:
    assert NODES.convert(word, None, None) == nodes


@pytest.mark.parametrize(
    "word", ["", "3", "2:10", "-1:10:8", "2:0:8", "0:10:0", "9:10:8", "2:10:8:-1", "2:10:8:9:9", "a:b:c"]
)
def test_what_is_no_number_of_nodes_is_refused(word: str) -> None:
    with pytest.raises(click.BadParameter, match="whole numbers as in 2:10:8:90"):
        NODES.convert(word, None, None)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_bar_shows_what_is_done_a_few_times_a_second_and_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal())
    times = iter((100.0, 100.1, 110.0, 110.1))
    monkeypatch.setattr(text, "time", SimpleNamespace(monotonic=lambda: next(times)))
    bar = Progress("KEDA")
    for share in (0.1, 0.25, 0.3):
        bar(share)
    bar.done()
    assert sys.stderr.getvalue() == f"\rKEDA [{'#' * 7}{'.' * 23}]  25 %,  30 s left \r\x1b[K"


def test_a_sparkline_fills_to_the_greatest() -> None:
    assert sparkline([0, 1, 2, 4, float("inf")]) == "▁▃▅██"
    assert sparkline([0, 0]) == "▁▁"
