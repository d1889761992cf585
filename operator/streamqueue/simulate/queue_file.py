"""The scaling block of a StreamQueue manifest."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from streamqueue.api.errors import SpecError
from streamqueue.api.parse import parse_spec
from streamqueue.api.spec import QueueSpec


class QueueFileError(ValueError):
    """The manifest can't be used; the message is one line for its author."""


def read_queue(path: Path) -> QueueSpec:
    """The one StreamQueue in a YAML file, which may hold other objects too."""
    try:
        import yaml
    except ImportError:
        raise QueueFileError("reading a manifest needs PyYAML: install streamqueue[operator]") from None
    try:
        with path.open(encoding="utf-8") as file:
            documents = list(yaml.safe_load_all(file))
    except OSError as error:
        raise QueueFileError(f"{path.name}: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise QueueFileError(f"{path.name}: no YAML: {' '.join(str(error).split())}") from error
    queues = [doc for doc in documents if isinstance(doc, Mapping) and doc.get("kind") == "StreamQueue"]
    if len(queues) != 1:
        raise QueueFileError(f"{path.name}: wants one object of kind StreamQueue, has {len(queues)}")
    spec = queues[0].get("spec")
    if not isinstance(spec, Mapping):
        raise QueueFileError(f"{path.name}: the StreamQueue has no spec")
    try:
        return parse_spec(spec)
    except SpecError as error:
        raise QueueFileError(f"{path.name}: {error}") from error
