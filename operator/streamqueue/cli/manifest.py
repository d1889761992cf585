"""Manifests that people hand over as files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import yaml

from streamqueue.api.errors import SpecError
from streamqueue.api.parse import check_name, parse_spec
from streamqueue.api.spec import QueueSpec
from streamqueue.cli.errors import BadInput
from streamqueue.manifests.labels import KIND

Document = Mapping[str, Any]
MANIFEST = click.Path(
    exists=True, dir_okay=False, allow_dash=True, path_type=Path
)  # - is standard input, as in kubectl


@dataclass(frozen=True, slots=True)
class Manifest:
    """A StreamQueue of a file."""

    name: str
    spec: QueueSpec


def read_documents(path: Path) -> list[Document]:
    """The objects in a YAML file. Raises BadInput."""
    try:
        with click.open_file(str(path), encoding="utf-8") as file:
            documents = list(yaml.safe_load_all(file))
    except OSError as error:
        raise BadInput(f"{path.name}: {error.strerror}") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # a date like 2026-13-01 is a ValueError
        raise BadInput(f"{path.name}: no YAML: {' '.join(str(error).split())}") from None
    except (LookupError, AttributeError):  # what yaml makes of it
        raise BadInput(f"{path.name}: no YAML: a value doesn't fit its tag, as in !!bool maybe") from None
    return [each for document in documents for each in _listed(document) if isinstance(each, Mapping)]


def _listed(document: Any) -> list[Any]:
    """The objects of a List, as kubectl prints several; else the one."""
    items = document.get("items") if isinstance(document, Mapping) and document.get("kind") == "List" else None
    return items if isinstance(items, list) else [document]


def which_option(command: Any) -> Any:
    """`which`, for `read_queue`."""
    return click.option(
        "--queue", "which", metavar="NAME", help="The StreamQueue of this name, where the file holds several."
    )(command)


def read_queue(path: Path, which: str | None) -> Manifest:
    """The StreamQueue `which` of a file, or the only one; it may hold other objects too. Raises BadInput."""
    queues = [document for document in read_documents(path) if document.get("kind") == KIND]
    if not queues:
        raise BadInput(f"{path.name}: wants one object of kind {KIND}, has 0")
    names = ", ".join(str(_name(each)) for each in queues)
    chosen = queues if which is None else [each for each in queues if _name(each) == which]
    if not chosen:
        raise BadInput(f"{path.name} holds no {KIND} {which!r}; there is {names}")
    if len(chosen) > 1:
        what = f"{names}: choose one by --queue NAME" if which is None else f"{len(chosen)} of the name {which}"
        raise BadInput(f"{path.name} holds {what}")
    return _manifest(path, chosen[0])


def _name(queue: Document) -> object:
    metadata = queue.get("metadata")
    return metadata.get("name") if isinstance(metadata, Mapping) else None


def _manifest(path: Path, queue: Document) -> Manifest:
    name, spec = _name(queue), queue.get("spec")
    if not isinstance(spec, Mapping):
        raise BadInput(f"{path.name}: the {KIND} has no spec")
    if not isinstance(name, str):
        raise BadInput(f"{path.name}: the {KIND} has no metadata.name that is a string: {name!r}")
    try:
        check_name(name)
        return Manifest(name, parse_spec(spec))
    except SpecError as error:
        raise BadInput(f"{path.name}: {error}") from None
