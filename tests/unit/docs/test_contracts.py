"""The map of rules to tests names tests that there are."""

from __future__ import annotations

import re
from pathlib import Path

TESTS = Path(__file__).parents[2]
FILE = re.compile(r"`((?:\w+/)+\w+|test_\w+)`")  # without a folder it is beside the one before
NAME = re.compile(r"[a-z0-9]+(?:_[a-z0-9]+)+")


def test_each_test_that_a_rule_names_is_there_once() -> None:
    wrong = []
    for row in re.findall(r"^\| .*", (TESTS / "CONTRACTS.md").read_text(), re.MULTILINE):
        folder = TESTS
        _, *parts = FILE.split(row.split(" | ")[-1])
        for file, names in zip(parts[::2], parts[1::2], strict=True):
            path = (TESTS if "/" in file else folder) / f"{file}.py"
            folder = path.parent
            tests = re.findall(r"def (test_\w+)", path.read_text())
            wrong += [f"{file} {name}" for name in NAME.findall(names) if sum(name in test for test in tests) != 1]
    assert not wrong
