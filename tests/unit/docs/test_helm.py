"""The helm commands of the pages are those that the end-to-end tests run on their cluster."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.docs import ROOT, commands
from tests.kube.chart import Chart
from tests.kube.kubectl import Kubectl

# Of helm's options those that stand alone; the others take the next word.
ALONE = {"--install", "--create-namespace", "--reset-then-reuse-values", "--wait", "--logs"}
# What only a person needs: tests give all values anew, wait, and read logs.
ALLOWED = {"--reset-then-reuse-values"}
RUN: dict[str, Callable[[Chart], object]] = {
    "install": Chart.upgrade,  # with --install: whichever it is
    "upgrade": Chart.upgrade,
    "rollback": Chart.roll_back,
    "uninstall": Chart.uninstall,
    "test": Chart.test,
}


@dataclass(frozen=True)
class Line:
    """A helm command: what it names, and its options."""

    words: tuple[str, ...]
    options: dict[str, str]


def parsed(arguments: list[str]) -> Line:
    words, options, rest = [], {}, iter(arguments)
    for each in rest:
        if each.startswith("--"):
            options[each] = "" if each in ALONE else next(rest)
        else:
            words.append(each)
    return Line(tuple(words), options)


TOLD = [
    (page, line)
    for page in ("install.md", "upgrade.md")
    for line in commands(ROOT / "docs" / page)
    if line.startswith("helm ")
]


@pytest.mark.parametrize(("page", "line"), TOLD)
def test_a_helm_command_is_the_one_that_is_tested(page: str, line: str, tmp_path: Path) -> None:
    typed, said = tmp_path / "typed", tmp_path / "helm"
    said.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > {shlex.quote(str(typed))}\n')
    said.chmod(0o755)
    told = parsed(shlex.split(line)[1:])
    RUN[told.words[0]](Chart(str(said), Kubectl("kubectl", "")))
    run = parsed(typed.read_text().splitlines())
    assert told.words[1:] == run.words[1:]
    assert told.options["--namespace"] == run.options["--namespace"]
    assert told.options.keys() - ALLOWED <= run.options.keys()
    assert told.words[0] in (run.words[0], "install")


def test_each_of_them_is_told() -> None:
    assert {shlex.split(line)[1] for _, line in TOLD} == RUN.keys()
