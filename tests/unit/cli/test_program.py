"""The program as it is installed: exit codes, one line for bad input, completion, the first manifest."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

import click
import pytest
import yaml

from streamqueue.api.parse import parse_spec
from streamqueue.cli import commands
from streamqueue.cli.commands import PLACES
from streamqueue.cli.main import cli, run
from tests.unit.crd.cases import manifest

STRAIGHT = ("--redis", "redis://127.0.0.1:1/0", "--stream", "orders", "--group", "workers")


@pytest.mark.parametrize(
    "words",
    [
        ["nonsense"],
        ["peek"],
        ["result", *STRAIGHT],
        ["result", *STRAIGHT, "1-1", "2-2"],
        ["peek", "orders", "more"],
        ["peek", "--stream", "orders"],
        ["peek", "--redis", "redis://h", "--stream", "orders"],
        ["peek", "--group", "workers"],
        ["peek", *STRAIGHT, "-o", "xml"],
        ["peek", "--redis", "redis://h", "--stream", "a{}b", "--group", "g"],
        ["peek", *STRAIGHT, "-c", "0"],
        ["status", "-A", "orders"],
        ["scale", "orders", "many"],
        pytest.param(["scale", "orders", "9" * 5000], id="scale orders 999..."),
        ["scale", "orders"],
        ["send", *STRAIGHT],
        ["send", *STRAIGHT, "novalue"],
        ["send", *STRAIGHT, "name=\udcff"],
        ["status", "--redis", "localhost", "--stream", "orders", "--group", "workers"],
        ["status", "orders", "--redis", "http://u:pw@h"],
        ["doctor", "--redis", "redis://:pw@[h", "--stream", "orders", "--group", "workers"],
        ["pending", *STRAIGHT, "--idle", "soon"],
        ["dlq", "purge", *STRAIGHT],
        ["dlq", "purge", *STRAIGHT, "--all", "--reason", "x"],
        ["dlq", "purge", *STRAIGHT, "--reason", ""],
        ["dlq", "redrive", *STRAIGHT, "--older-than", ""],
        ["dlq", "redrive", *STRAIGHT, "--into", ""],
        ["replay", *STRAIGHT, "--from", "1h", "--into", ""],
        ["send", *STRAIGHT, "--task-id", "", "a=b"],
        ["send", *STRAIGHT, "--delay", "", "a=b"],
        ["pending", *STRAIGHT, "--idle", ""],
        ["reclaim", *STRAIGHT, "--visibility-timeout", ""],
        ["dlq", "show", *STRAIGHT],
        ["dlq", "ls", *STRAIGHT, "--older-than", "old"],
        ["replay", *STRAIGHT],
        ["replay", *STRAIGHT, "--until", "1h"],
        ["replay", *STRAIGHT, "--id", "17"],
        ["reclaim", "orders", "--max-deliveries", "3"],
        ["completion", "tcsh"],
        ["init", "orders", "--image", "i"],
        ["init", "orders", "--image", "i", "--redis-secret", "redis"],
        ["init", "orders", "--image", "i", "--redis-url", "redis://u:pw@h"],
        ["init", "My Orders", "--image", "i", "--redis-url", "redis://h"],
        ["init", "orders", "--image", "i", "--redis-url", "redis://h", "--stream", ""],
        ["explain", "orders", "--at", ""],
        ["explain", "orders", "--since", ""],
        ["explain", "orders", "--since", "", "--at", "1h"],
        ["pending", *STRAIGHT, "--consumer", ""],
        ["peek", "--redis", "redis://h", "--stream", "", "--group", "g"],
        ["status", *STRAIGHT, "-n", "shop"],
        ["top", *STRAIGHT, "--context", "here"],
        ["top", *STRAIGHT, "--interval", "nan"],
        ["replay", *STRAIGHT, "--from", "1h", "--rate", "nan"],
        ["dlq", "purge", *STRAIGHT, "--all", "--rate", "inf"],
        ["send", *STRAIGHT, "a=1", "a=2"],
        ["status", ""],
        ["scale", "orders", "0", "-n", ""],
        ["status", "-n", "shop/pods"],
        ["init", "orders", "--image", "i", "--redis-url", "redis://h", "-n", "My Shop"],
        ["status", "shop/orders"],
        ["pause", ""],
        ["scale", "../orders", "1"],
        ["dlq", "show", *STRAIGHT, "1-1", "-o", "name"],
        ["init", "o" * 41, "--image", "i", "--redis-url", "redis://h"],
    ],
    ids=" ".join,
)
def test_bad_input_is_one_line_and_exit_code_2(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(words) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1 and said.err.startswith("streamqueue: ")
    assert "pw" not in said.err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["status", "--redis", "nix", "orders"], "--redis or STREAMQUEUE_REDIS_URL: the Redis URL cannot be read"),
        (
            ["peek", "--redis", "redis://h", "--stream", "", "--group", "g"],
            "--stream: the name of a stream is at least one character",
        ),
        (["peek", "--stream", "orders"], "--stream needs --redis URL as well"),
        (["peek", "--group", "workers"], "--group needs --redis URL and --stream as well"),
        (["status", "orders", "more"], "'more' is one word too many\n"),
        (["result", *STRAIGHT, ""], "the task's id is empty"),
        (["explain", *STRAIGHT, ""], "the task's id is empty"),
        (["doctor", *STRAIGHT, "orders"], "'orders' is one word too many: --stream and --group, or their variables,"),
        (["status", "My Orders"], "a name must be small letters, digits, '-' and '.'"),
        (["send", *STRAIGHT, "b=0", "a=1", "a=2"], "field 'a' is there twice"),
        (["init", "orders", "--image", "i"], "give one of --redis-url URL and --redis-secret NAME/KEY"),
        (["init", "a", "--image", "i", "--redis-url", "redis://h", "--redis-secret", "a/b"], "give one of --redis-url"),
        *(
            (["init", "orders", "--image", "i", "--redis-secret", word], "--redis-secret must be NAME/KEY")
            for word in ("redis", "redis/", "/url", "")
        ),
        (["explain", *STRAIGHT, "1-1", "2-2"], "'2-2' is one word too many: one task at a time"),
        (["result", *STRAIGHT, "1-1", "2-2"], "'2-2' is one word too many: one task at a time"),
        (["explain", "orders", "1-1", "--at", "1h"], "give one of --at, --since and ID"),
        (["explain", "orders", "--since", "1h", "--at", "1h"], "give one of --at, --since and ID"),
        (["explain", *STRAIGHT, "--since", "1h"], "--at and --since ask the operator: name the queue"),
        (["explain", "orders", "--at", "then"], "--at: 'then' is no time"),
        (["explain", "orders", "--since", "then"], "--since: 'then' is no time"),
    ],
)
def test_bad_input_is_named(words: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(words) == 2
    assert says in capsys.readouterr().err


UNUSABLE = (b"a: [1\nb: }", b"\xff\xfe\x00", b"[]", b"contexts: 5", b"text", b"")


@pytest.mark.parametrize(("name", "text"), [*(("config", text) for text in UNUSABLE), (".", b""), ("absent", b"")])
def test_a_kubeconfig_that_is_none(name: str, text: bytes, tmp_path: Path) -> None:
    (tmp_path / "config").write_bytes(text)
    done = program("streamqueue", "status", KUBECONFIG=str(tmp_path / name))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "streamqueue: no usable kubeconfig: set KUBECONFIG, or give --redis, --stream and --group\n"


@pytest.mark.parametrize("words", [["dev"], ["dev", "--command", ""]], ids=" ".join)
def test_bad_input_is_all_that_is_said(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """And not which Redis it would have been, or how many workers."""
    monkeypatch.setenv("STREAMQUEUE_REDIS_URL", "redis://127.0.0.1:1/0")
    (tmp_path / "queue.yaml").write_text(yaml.safe_dump(manifest({"spec.scaling.maxReplicas": 50})))
    assert run([*words, "-f", str(tmp_path / "queue.yaml"), "--workers", "2"]) == 2
    said = capsys.readouterr()
    assert said.out == "" and said.err.count("\n") == 1


def test_a_server_that_does_not_answer_is_exit_code_1(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["status", *STRAIGHT]) == 1
    assert capsys.readouterr().err.startswith("streamqueue: Redis cannot be reached")


def test_a_kubectl_plugin_calls_itself_so() -> None:
    assert program("kubectl-streamqueue", "nonsense").stderr.startswith("kubectl streamqueue: ")


def test_the_version_is_the_packages(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0
    assert capsys.readouterr().out == f"streamqueue {version('streamqueue')}\n"


def test_completion_completes() -> None:
    completed = program(
        "streamqueue", _STREAMQUEUE_COMPLETE="bash_complete", COMP_WORDS="streamqueue re", COMP_CWORD="1"
    )
    assert {line.partition(",")[2] for line in completed.stdout.split()} == {"reclaim", "replay", "result", "resume"}
    assert "_STREAMQUEUE_COMPLETE" in program("streamqueue", "completion", "zsh").stdout


def complete(line: str, **environment: str) -> list[str]:
    """What the shell would offer for the last word."""
    words = line.split(" ")
    done = program(
        "streamqueue",
        _STREAMQUEUE_COMPLETE="bash_complete",
        COMP_WORDS=line,
        COMP_CWORD=str(len(words) - 1),
        **environment,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return [each.partition(",")[2] for each in done.stdout.split()]


@pytest.mark.parametrize("command", ["status", "scale", "dlq ls", "explain"])
def test_completion_of_names_is_silent_without_a_cluster(command: str, tmp_path: Path) -> None:
    assert complete(f"streamqueue {command} or", KUBECONFIG=str(tmp_path / "none")) == []


def test_completion_waits_for_no_cluster_that_hangs(tmp_path: Path) -> None:
    hangs = tmp_path / "kubectl"
    hangs.write_text("#!/bin/sh\nexec sleep 60\n")
    hangs.chmod(0o755)
    began = time.monotonic()
    assert complete("streamqueue status or", PATH=f"{tmp_path}:{os.environ['PATH']}") == []
    assert time.monotonic() - began < 30


def test_the_first_manifest_can_be_used(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["init", "orders", "--image", "i:1", "--redis-secret", "redis/url", "-n", "shop"]) == 0
    printed = capsys.readouterr().out
    body = yaml.safe_load(printed)
    assert [line.partition(":")[0] for line in printed.splitlines()][:3] == ["apiVersion", "kind", "metadata"]
    assert body["metadata"] == {"name": "orders", "namespace": "shop"}
    assert parse_spec(body["spec"]).handler.image == "i:1"


@pytest.mark.parametrize("name", PLACES)
def test_each_command_explains_itself(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    command = cli.get_command(click.Context(cli), name)
    assert run([name, "--help"]) == 0
    assert command and command.name == name
    assert command.help and command.help[:40] in " ".join(capsys.readouterr().out.split())


def test_no_line_of_the_commands_is_cut(capsys: pytest.CaptureFixture[str]) -> None:
    """On a terminal of 80 columns."""
    for words in ([], ["dlq"], ["import"]):
        assert run([*words, "--help"]) == 0
        out = capsys.readouterr().out
        assert "..." not in out.partition("Commands:")[2], out


def test_every_command_has_a_place() -> None:
    folder = Path(commands.__file__).parent
    modules = {path.stem for path in folder.glob("*.py")} - {"__init__"}
    assert {place.partition(":")[0] for place in PLACES.values()} == modules


def test_a_call_loads_no_other_command() -> None:
    """Somebody waits at a prompt, and for each TAB."""
    code = "import sys; from streamqueue.cli.main import run; run(['status', '--help']); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "streamqueue.cli.commands.status" in done.stdout
    assert not {"streamqueue.cli.commands.dev", "streamqueue.simulate", "kubernetes"} & set(done.stdout.split())


def test_a_file_of_tasks_may_begin_with_a_mark(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As editors of Windows write it; and a file is UTF-8 whatever the terminal speaks."""
    (tmp_path / "tasks").write_bytes(b'\xef\xbb\xbf{"name": "a"}\n')
    assert run(["send", *STRAIGHT, "--file", str(tmp_path / "tasks"), "--dry-run"]) == 0
    assert capsys.readouterr().out == "1 task(s) would be added to orders/workers (dry run)\n"


def test_output_that_cannot_be_written_is_one_line_and_exit_code_1() -> None:
    done = subprocess.run(
        f"{sys.executable} -m streamqueue.cli completion bash > /dev/full", shell=True, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (1, "streamqueue: No space left on device\n")


@pytest.mark.parametrize("words", ["completion bash", "init --help", "--version"])
def test_a_reader_that_has_seen_enough_hears_no_complaint(words: str) -> None:
    command = f"set -o pipefail; {sys.executable} -m streamqueue.cli {words} | true"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.parametrize("where", ["2> /dev/full", "2>&-", "2>&1 | true"])
def test_bad_input_is_exit_code_2_though_nobody_hears_why(where: str) -> None:
    command = f"set -o pipefail; {sys.executable} -m streamqueue.cli nonsense {where}"
    assert subprocess.run(["bash", "-c", command]).returncode == 2


def test_output_that_is_closed_from_the_start_is_no_traceback() -> None:
    done = subprocess.run(f"{sys.executable} -m streamqueue.cli completion bash >&-", shell=True, capture_output=True)
    assert (done.returncode, done.stderr) == (0, b"")


def test_ctrl_c_while_the_program_loads_is_exit_code_130(tmp_path: Path) -> None:
    """As `click` is imported, that is: before any of our code could answer."""
    heeds = "signal.signal(signal.SIGINT, signal.default_int_handler)"  # which the background of a shell ignores
    (tmp_path / "click.py").write_text(f"import os, signal\n{heeds}\nos.kill(os.getpid(), signal.SIGINT)\n")
    done = program("streamqueue", "status", PYTHONPATH=str(tmp_path))
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


@pytest.mark.parametrize("module", ["click", "yaml"])
def test_without_its_extra_the_program_names_it(module: str, tmp_path: Path) -> None:
    """`pip install streamqueue` installs the program too."""
    (tmp_path / f"{module}.py").write_text(f"raise ModuleNotFoundError(name={module!r})\n")
    done = program("streamqueue", "init", "--help", PYTHONPATH=str(tmp_path))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"streamqueue: {module} is not installed: pip install 'streamqueue[cli]'\n"


def program(name: str, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """The installed program, in a process of its own."""
    installed = Path(sys.executable).with_name(name)
    return subprocess.run([installed, *words], capture_output=True, text=True, env={**os.environ, **environment})


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (b"\xff\xfe", "UTF-8"),
        (b'{"name": "\\ud800"}', "line 1"),
        (b"[", "line 1"),
        (b"{}", "line 1 must be a JSON object with at least one field"),
        (b"[" * 100_000, "line 1"),
        (b'{"n": ' + b"1" * 5000 + b"}", "line 1"),
        # The script that lets delayed tasks in would stop at it, and with it at all that come later.
        (json.dumps(dict.fromkeys(map(str, range(3001)), "")).encode(), "line 1 has 3001 fields"),
    ],
    ids=["bytes", "half a pair", "half a list", "empty", "deep", "large", "wide"],
)
def test_a_file_of_tasks_that_are_no_text_adds_none(
    line: bytes, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "tasks").write_bytes(line + b"\n")
    assert run(["send", *STRAIGHT, "--file", str(tmp_path / "tasks")]) == 2
    assert says in capsys.readouterr().err
