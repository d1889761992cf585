"""Manifests of others as StreamQueues."""

from __future__ import annotations

from pathlib import Path

import click
import yaml

from streamqueue.api.errors import SpecError
from streamqueue.cli.errors import BadInput
from streamqueue.cli.keda.objects import CannotImport
from streamqueue.cli.keda.translate import translate
from streamqueue.cli.manifest import MANIFEST, read_documents


@click.group("import")
def import_() -> None:
    """Print a StreamQueue made from somebody else's manifest."""


@import_.command(short_help="Print the StreamQueue for a ScaledObject with a redis-streams trigger.")
@click.option(
    "-f",
    "--file",
    "files",
    multiple=True,
    required=True,
    type=MANIFEST,
    help="A manifest, or several; may be repeated.",
)
@click.option("--image", metavar="IMAGE", help="The handler's image, where the Deployment isn't among the files.")
@click.option("--group", metavar="NAME", help="The consumer group, where the trigger names none.")
@click.option("--name", metavar="NAME", help="The StreamQueue's name; by default the Deployment's.")
def keda(files: tuple[Path, ...], image: str | None, group: str | None, name: str | None) -> None:
    """Print the StreamQueue for a ScaledObject with a redis-streams trigger; what differs is in its comments.

    Give its Deployment and TriggerAuthentication too, by further -f or in the same file.
    """
    documents = [document for file in files for document in read_documents(file)]
    try:
        made = translate(documents, image, group, name)
    except (CannotImport, SpecError) as error:
        raise BadInput(str(error)) from None
    for note in made.notes:
        click.echo(f"# {note}")
    click.echo(yaml.safe_dump(made.body, sort_keys=False, allow_unicode=True, width=120), nl=False)
