"""The page on the command line says what there is: each command on it parses, each finding is listed."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from streamqueue.cli import doctor
from streamqueue.cli.main import cli

PAGE = Path("docs/cli.md").read_text()
EXAMPLES = re.findall(r"^streamqueue (.*)$", PAGE, re.MULTILINE)


@pytest.mark.parametrize("example", EXAMPLES)
def test_each_example_parses(example: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("tasks.jsonl", "scaledobject.yaml", "deployment.yaml"):
        Path(name).write_text("{}\n")
    command: click.Command = cli
    words = shlex.split(example)
    while isinstance(command, click.Group):
        found = command.get_command(click.Context(command), words[0])
        assert found, example
        command, words = found, words[1:]
    command.make_context(command.name, words)


def test_each_command_is_in_the_table() -> None:
    for name in cli.list_commands(click.Context(cli)):
        assert f"`{name}" in PAGE


def test_each_finding_is_in_the_table() -> None:
    folder = Path(doctor.__file__).parent / "checks"
    sources = "".join(file.read_text() for file in folder.glob("*.py"))
    names = set(re.findall(r'inding\(\s*"([a-z-]+)"', sources)) | {"crash-loop", "container-config"}
    assert len(names) > 20
    assert [name for name in names if f"`{name}`" not in PAGE] == []
