"""How a command ends badly: one line, and an exit code that scripts can use."""

from __future__ import annotations

import click


class BadInput(click.UsageError):
    """What was typed cannot be used: exit code 2."""


class Failure(click.ClickException):
    """What was typed is right, but it could not be done: exit code 1. The message holds no secret."""

    exit_code = 1
