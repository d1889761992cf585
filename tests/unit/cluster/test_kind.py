"""When a cluster is kept, brought back, or made anew."""

import pytest

from tests.cluster.kind import Action, Node, choose, is_after

STARTED = "2026-01-01T10:00:00.123456789Z"
MOUNTS = ("/var", "/cache/config/this")


@pytest.mark.parametrize(
    ("node", "action"),
    [
        (None, Action.CREATE),
        (Node("sha256:a", True, STARTED, MOUNTS), Action.WAIT),
        (Node("sha256:a", False, STARTED, MOUNTS), Action.START),
        (Node("sha256:b", True, STARTED, MOUNTS), Action.RECREATE),
        (Node("sha256:b", False, STARTED, MOUNTS), Action.RECREATE),
        (Node("sha256:a", True, STARTED, ("/var", "/cache/config/older")), Action.RECREATE),
    ],
)
def test_a_cluster_of_another_node_image_or_configuration_is_replaced(node: Node | None, action: Action) -> None:
    assert choose(node, "sha256:a", "/cache/config/this") is action


def test_a_lease_renewed_before_the_restart_says_nothing() -> None:
    assert is_after("2026-01-01T10:00:09.000001Z", STARTED)
    assert not is_after("2026-01-01T09:59:58.999999Z", STARTED)
