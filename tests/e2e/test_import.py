"""What `import keda` prints is taken by the API server, strictly."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from tests.e2e.world import World

GOLDEN = sorted((Path(__file__).parents[1] / "unit/cli/keda").glob("*.golden"))


@pytest.mark.parametrize("case", GOLDEN, ids=lambda case: case.stem)
def test_an_imported_queue_is_accepted(world: World, case: Path) -> None:
    body = yaml.safe_load(case.read_text())
    body["metadata"]["namespace"] = world.kubectl.namespace
    world.kubectl("create", "--dry-run=server", "--validate=strict", "--filename=-", input=json.dumps(body))
