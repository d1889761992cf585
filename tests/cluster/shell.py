"""Runs other programs: their output goes to a log file or is returned, their failure becomes one sentence."""

import os
import subprocess
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tests.cluster.settings import LOGS

_running: set[subprocess.Popen[str]] = set()


class HarnessError(Exception):
    """What is missing or failed, and what to do next, in one line."""


def answer(command: Sequence[str | Path], timeout: float = 20) -> str | None:
    """The program's output, or None where it is missing, fails or takes longer than `timeout` seconds."""
    try:
        done = subprocess.run(
            [str(word) for word in command], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def output(command: Sequence[str | Path], text: str | None = None) -> str:
    """The program's output; a failure raises HarnessError with the last line of its complaint."""
    words = [str(word) for word in command]
    done = subprocess.run(words, input=text or "", capture_output=True, text=True)
    if done.returncode:
        raise HarnessError(f"`{' '.join(words[:4])} …` ended with {done.returncode}: {last_line(done.stderr)}")
    return done.stdout.strip()


def output_bytes(command: Sequence[str | Path]) -> bytes:
    """The same for output that is no text."""
    words = [str(word) for word in command]
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True)
    if done.returncode:
        complaint = last_line(done.stderr.decode(errors="replace"))
        raise HarnessError(f"`{' '.join(words[:4])} …` ended with {done.returncode}: {complaint}")
    return done.stdout


def run(
    command: Sequence[str | Path],
    log: str,
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    text: str = "",
    report: Callable[[str], None] | None = None,
) -> None:
    """Run a long command; its output goes to the log file of this name, line by line to `report` too."""
    words = [str(word) for word in command]
    LOGS.mkdir(parents=True, exist_ok=True)
    path = LOGS / f"{log}.log"
    recent: deque[str] = deque(maxlen=1)
    with path.open("a") as file:
        file.write(f"$ {' '.join(words)}\n")
        with subprocess.Popen(
            words,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env={**os.environ, **(env or {})},
            cwd=cwd,
        ) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(text)
            process.stdin.close()
            _running.add(process)
            for line in process.stdout:
                file.write(line)
                if line.strip():
                    recent.append(line.strip())
                    if report:
                        report(line.strip())
        _running.discard(process)
    if process.returncode:
        said = recent[0] if recent else "no output"
        raise HarnessError(f"`{' '.join(words[:3])} …` ended with {process.returncode}: {said} (all of it: {path})")


def end_all() -> None:
    """End the programs that `run` started in other threads."""
    for process in list(_running):
        process.terminate()


def last_line(text: str) -> str:
    """The last line that says something."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "no output"
