"""Figures in the README are those that a benchmark printed."""

from __future__ import annotations

from tests.docs import ROOT


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_the_readmes_figures_are_the_replays() -> None:
    printed = [cells(line) for line in (ROOT / "benchmarks/results/replay.md").read_text().splitlines()]
    _, _, after = (ROOT / "README.md").read_text().partition("(`make bench-replay`;")
    table = [cells(line) for line in after.partition("\n\n")[2].partition("\n\n")[0].splitlines()]
    assert len(table) > 2
    for name, ours, peer in (table[0], *table[2:]):
        assert [name, ours, peer] in [[row[0], row[1], row[3]] for row in printed if len(row) == 5]
