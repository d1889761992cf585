"""A Docker daemon of the harness's own, where no service manager would start one."""

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.cluster.settings import CACHE, LOGS, RECIPE
from tests.cluster.shell import HarnessError

PID_FILE = CACHE / "dockerd.pid"
CONFIG = CACHE / "dockerd.json"
SYSTEM_CONFIG = Path("/etc/docker/daemon.json")
CAP_SYS_RESOURCE = 24
START_SECONDS = 60
STOP_SECONDS = 30


def start(answers: Callable[[], bool]) -> None:
    """Start dockerd detached (a caller whose output is captured must be able to end) and wait until it answers."""
    CACHE.mkdir(parents=True, exist_ok=True)
    LOGS.mkdir(parents=True, exist_ok=True)
    for stale in (PID_FILE, Path("/var/run/docker/containerd/containerd.pid")):
        # dockerd takes any process of that number for its own and refuses to start.
        if stale.exists() and program_of(read_pid(stale)) not in ("dockerd", "containerd"):
            stale.unlink()
    capped = not has_capability(Path("/proc/self/status").read_text(), CAP_SYS_RESOURCE)
    system = json.loads(SYSTEM_CONFIG.read_text()) if SYSTEM_CONFIG.exists() else {}
    runtime = Path(shutil.copy(RECIPE / "runc-capped", CACHE))
    CONFIG.write_text(json.dumps(configuration(system, runtime if capped else None)))
    log = LOGS / "dockerd.log"
    with log.open("a") as file:
        process = subprocess.Popen(
            ["dockerd", "--pidfile", str(PID_FILE), "--config-file", str(CONFIG)],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            cwd="/",
            start_new_session=True,
        )
    deadline = time.monotonic() + START_SECONDS
    while not answers():
        if process.poll() is not None or time.monotonic() > deadline:
            raise HarnessError(f"dockerd did not start; its log says why: {log}")
        time.sleep(0.2)


def configuration(system: dict[str, Any], runtime: Path | None) -> dict[str, Any]:
    """The machine's own daemon.json, and where root lacks a capability the runtime that doesn't ask for it."""
    if runtime is None:
        return system
    runtimes = {**system.get("runtimes", {}), "capped": {"path": str(runtime)}}
    return {**system, "runtimes": runtimes, "default-runtime": "capped"}


def has_capability(status: str, number: int) -> bool:
    """Whether the bounding set in a `/proc/<pid>/status` text holds this capability."""
    for line in status.splitlines():
        if line.startswith("CapBnd:"):
            return bool(int(line.split()[1], 16) >> number & 1)
    return False


def running() -> bool:
    """Whether a dockerd that this harness started is alive."""
    return PID_FILE.exists() and program_of(read_pid(PID_FILE)) == "dockerd"


def stop() -> None:
    """End the dockerd that this harness started; never another one."""
    if not running():
        return
    pid = read_pid(PID_FILE)
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_SECONDS
    while program_of(pid) == "dockerd":
        if time.monotonic() > deadline:
            raise HarnessError(f"dockerd (process {pid}) has not ended {STOP_SECONDS} s after SIGTERM")
        time.sleep(0.2)


def read_pid(path: Path) -> int:
    """The number in a pid file; 0 where it holds none."""
    text = path.read_text().strip()
    return int(text) if text.isdigit() else 0


def program_of(pid: int) -> str:
    """The program that runs as this process, "" where none does."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        return "" if state == "Z" else Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""
