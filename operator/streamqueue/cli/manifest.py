"""Manifests that people hand over as files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from streamqueue.api.errors import SpecError
from streamqueue.api.parse import check_name, parse_spec
from streamqueue.api.spec import QueueSpec
from streamqueue.cli.errors import BadInput
from streamqueue.manifests.labels import KIND

Document = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Manifest:
    """A StreamQueue of a file."""

    name: str
    spec: QueueSpec


def read_documents(path: Path) -> list[Document]:
    """The objects in a YAML file. Raises BadInput."""
    try:
        with path.open(encoding="utf-8") as file:
            documents = list(yaml.safe_load_all(file))
    except OSError as error:
        raise BadInput(f"{path.name}: {error.strerror}") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # a date like 2026-13-01 is a ValueError
        raise BadInput(f"{path.name}: no YAML: {' '.join(str(error).split())}") from None
    return [document for document in documents if isinstance(document, Mapping)]


def read_queue(path: Path) -> Manifest:
    """The one StreamQueue in a file, which may hold other objects too. Raises BadInput."""
    queues = [document for document in read_documents(path) if document.get("kind") == KIND]
    if len(queues) != 1:
        raise BadInput(f"{path.name}: wants one object of kind {KIND}, has {len(queues)}")
    metadata, spec = queues[0].get("metadata"), queues[0].get("spec")
    if not isinstance(spec, Mapping):
        raise BadInput(f"{path.name}: the {KIND} has no spec")
    name = metadata.get("name") if isinstance(metadata, Mapping) else None
    if not isinstance(name, str):
        raise BadInput(f"{path.name}: the {KIND} has no metadata.name")
    try:
        check_name(name)
        return Manifest(name, parse_spec(spec))
    except SpecError as error:
        raise BadInput(f"{path.name}: {error}") from None
