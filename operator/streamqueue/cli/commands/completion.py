"""Shell completion."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from streamqueue.cli.completing import COMPLETION_VARIABLE
from streamqueue.cli.errors import BadInput


@click.command(short_help="Print the completion of bash, zsh or fish.")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the completion of SHELL: eval "$(streamqueue completion bash)"."""
    found = get_completion_class(shell)
    if found is None:
        raise BadInput(f"no completion for {shell}")
    click.echo(found(context.find_root().command, {}, "streamqueue", COMPLETION_VARIABLE).source())
