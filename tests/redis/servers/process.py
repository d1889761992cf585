"""A server of the cache, running."""

from __future__ import annotations

import itertools
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path

from tests.redis.servers.install import Server

# What is acknowledged was written, and outlives the process; "everysec" may answer first, "always" waits for the disk.
DURABLE = {"appendonly": "yes", "appendfsync": "no"}
_NUMBER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
_PROCESSES = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
PORTS = range(10_000, 20_000)[_NUMBER::_PROCESSES]  # each process of a session its own
READY = ("Ready to accept connections", "Sentinel ID is")

_turn = itertools.count(random.SystemRandom().randrange(len(PORTS)))  # other sessions begin elsewhere


class RunningServer:
    """One server process on a free port of 127.0.0.1, with a directory of its own.

    `settings` are configuration lines: {"appendonly": "yes"}.
    """

    def __init__(self, server: Server, settings: dict[str, str] | None = None, mode: str = "") -> None:
        self.server = server
        self.port = free_port()
        self.folder = Path(tempfile.mkdtemp(prefix="streamqueue-redis-"))
        self.settings = {
            "port": str(self.port),
            "bind": "127.0.0.1",
            "dir": str(self.folder),
            "save": '""',
            "logfile": '""',
            "daemonize": "no",
            "repl-diskless-sync-delay": "0",
        } | (settings or {})
        self._mode = mode
        self._process: subprocess.Popen[str] | None = None
        self.log: list[str] = []
        self.start()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def pid(self) -> int:
        assert self._process
        return self._process.pid

    @property
    def runs(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self, until: tuple[str, ...] = READY) -> None:
        """Start, or start again with the data that is in the directory; returns at a log line with one of `until`."""
        config = self.folder / "server.conf"
        if not config.exists():  # sentinel and cluster keep state in theirs
            config.write_text("".join(f"{key} {value}\n" for key, value in self.settings.items()))
        command = [*self.server.command, str(config), *([self._mode] if self._mode else [])]
        self._process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, process_group=0
        )
        assert self._process.stdout
        for line in self._process.stdout:
            self.log.append(line)
            if any(word in line for word in until):
                break
        else:
            raise RuntimeError(f"{self.server.name} did not start: {''.join(self.log[-5:])}")
        # Nobody reads on: a full pipe must not stop the server.
        self._drain = subprocess.Popen(["cat"], stdin=self._process.stdout, stdout=subprocess.DEVNULL)
        self._process.stdout.close()

    def kill(self, sig: int = signal.SIGKILL) -> None:
        """With its children, that write files: one whose parent is gone waits for it for seconds."""
        if self._process and self._process.poll() is None:
            os.killpg(self._process.pid, sig)
            self._process.wait()
            self._drain.wait()

    def restart(self) -> None:
        self.kill(signal.SIGTERM)
        self.start()

    def pause(self) -> None:
        assert self._process
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        assert self._process
        self._process.send_signal(signal.SIGCONT)

    def close(self) -> None:
        if self._process and self._process.poll() is None:
            self.resume()
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


def free_port() -> int:
    """Below the range that the kernel takes clients' ports from; a cluster's second port is 10,000 above.

    A process is given each once before any twice: what was free a moment ago may be about to be bound.
    """
    while True:
        port = PORTS[next(_turn) % len(PORTS)]
        with socket.socket() as sock, suppress(OSError):
            sock.bind(("127.0.0.1", port))
            return port
