"""A group whose commands are loaded when they are called: a call, or a TAB, waits for its own alone."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import click


class LazyGroup(click.Group):
    """`places`: `module:object` in `package`, by the command's name."""

    def __init__(self, *args: Any, package: str, places: Mapping[str, str], **more: Any) -> None:
        super().__init__(*args, **more)
        self._package, self._places = package, places

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(self._places)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        place = self._places.get(cmd_name)
        if place is None:
            return None
        module, _, name = place.partition(":")
        command: click.Command = getattr(import_module(f"{self._package}.{module}"), name)
        return command
