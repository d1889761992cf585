"""The table server x test at the end of a run."""

from __future__ import annotations

import re
from collections import defaultdict

import pytest


class ServerTable:
    """Collects outcomes by server and by test, and prints them."""

    def __init__(self) -> None:
        self._outcomes: dict[str, dict[str, str]] = defaultdict(dict)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        found = re.search(
            r"tests/redis/(?:\w+/)*(\w+)\.py::(\w+)\[((?:redis|valkey)-[\d.]+)(.*)\](?:@.*)?$", report.nodeid
        )
        if not found:
            return
        row = f"{found[1].removeprefix('test_')}: {found[2].removeprefix('test_').replace('_', ' ')}"
        before = self._outcomes[row].get(found[3])
        if report.failed or (report.when == "call" and before != "FAIL"):
            passed = dict(report.user_properties).get("cell", "ok")
            self._outcomes[row][found[3]] = {"passed": passed, "failed": "FAIL"}.get(report.outcome, report.outcome)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if not self._outcomes:
            return
        servers = sorted({server for outcomes in self._outcomes.values() for server in outcomes})
        width = max(map(len, self._outcomes))
        terminalreporter.section("servers")
        terminalreporter.line(" " * width + "".join(f"  {server:>10}" for server in servers))
        for row, outcomes in self._outcomes.items():
            cells = "".join(f"  {outcomes.get(server, '-'):>10}" for server in servers)
            terminalreporter.line(f"{row:<{width}}{cells}")
