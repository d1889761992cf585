"""The table server x test at the end of a run, and as a page with `--table FILE`."""

from __future__ import annotations

import os
import re
import time
from collections import defaultdict
from pathlib import Path

import pytest

from tests.redis.servers.lock import NOT_TO_BE_HAD, SOURCES, locked

_NODE = re.compile(r"tests/redis/(?:\w+/)*(\w+)\.py::(\w+)\[((?:redis|valkey)-[\d.]+)(.*)\](?:@.*)?$")


class ServerTable:
    """Collects outcomes by test and by server."""

    def __init__(self, page: Path | None = None) -> None:
        self._page = page
        self._outcomes: dict[str, dict[str, str]] = defaultdict(dict)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        found = _NODE.search(report.nodeid)
        if not found or (report.passed and report.when != "call"):
            return
        row = f"{found[1].removeprefix('test_')}: {found[2].removeprefix('test_').replace('_', ' ')}"
        if self._outcomes[row].get(found[3]) != "FAIL":
            self._outcomes[row][found[3]] = _cell(report)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if not self._outcomes:
            return
        terminalreporter.section("servers")
        for line in _table(self._outcomes):
            terminalreporter.line(line)
        terminalreporter.line(_absent())
        if self._page:
            self._page.write_text(_page(self._outcomes))


def _cell(report: pytest.TestReport) -> str:
    if report.failed:
        return "FAIL"
    if report.skipped:
        return str(report.longrepr[2]).removeprefix("Skipped: ") if isinstance(report.longrepr, tuple) else "skipped"
    return str(dict(report.user_properties).get("cell", "ok"))


def _table(outcomes: dict[str, dict[str, str]]) -> list[str]:
    servers = [server for server in SOURCES if any(server in cells for cells in outcomes.values())]
    rows = [["test", *servers], *([test, *(outcomes[test].get(s, "-") for s in servers)] for test in sorted(outcomes))]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [f"| {' | '.join(map(str.ljust, row, widths))} |" for row in rows]
    return [lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]]


def _absent() -> str:
    return f"Not to be had from the registries, so not tried: {', '.join(NOT_TO_BE_HAD)}."


def _page(outcomes: dict[str, dict[str, str]]) -> str:
    cells = [cell for row in outcomes.values() for cell in row.values()]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    machine = f"{os.cpu_count()} cores, {memory:.0f} GiB"
    sources = [f"- {name}: {by[0].name} {by[0].version} ({by[0].suite})" for name, by in locked().items()]
    return "\n".join(
        [
            "# Servers and tests",
            "",
            f"Written by `make test-redis-all` on {time.strftime('%Y-%m-%d', time.gmtime())}, {machine}: "
            f"{len(outcomes)} tests on {len(sources)} servers, {cells.count('FAIL')} cells failed. "
            "A dash: the test runs on the servers that it names alone.",
            "",
            *_table(outcomes),
            "",
            "The servers come from packages that the tests fetch themselves, pinned by version and hash:",
            "",
            *sources,
            "",
            _absent(),
            "",
        ]
    )
