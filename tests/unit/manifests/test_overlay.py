"""The template overlay changes what it names and nothing else."""

from __future__ import annotations

from streamqueue.manifests.overlay import merge_overlay
from tests.unit.manifests.build import deployment, environment, handler, overlaid


def _container(**fields: object) -> dict[str, object]:
    return {"spec": {"containers": [{"name": "handler", **fields}]}}


def test_no_overlay_changes_nothing() -> None:
    assert overlaid({"metadata": {}, "spec": {}}) == deployment()["spec"]["template"]


def test_the_handler_is_merged_by_its_name() -> None:
    merged = overlaid(_container(resources={"limits": {"cpu": "1"}}))

    assert len(merged["spec"]["containers"]) == 1
    assert handler(merged)["resources"] == {"limits": {"cpu": "1"}}
    assert handler(merged)["image"] == "registry.example/orders-handler:1.4"


def test_variables_are_added_by_name() -> None:
    merged = handler(overlaid(_container(env=[{"name": "MODE", "value": "fast"}])))

    assert environment(merged)["MODE"] == "fast"
    assert environment(merged)["STREAMQUEUE_STREAM"] == "orders"


def test_other_containers_and_init_containers_are_added() -> None:
    merged = overlaid({"spec": {"containers": [{"name": "log", "image": "l"}], "initContainers": [{"name": "wait"}]}})

    assert [each["name"] for each in merged["spec"]["containers"]] == ["handler", "log"]
    assert merged["spec"]["initContainers"] == [{"name": "wait"}]


def test_maps_are_merged_and_scalars_replaced() -> None:
    merged = overlaid(
        {
            "metadata": {"labels": {"team": "shop"}, "annotations": {"note": "x"}},
            "spec": {"nodeSelector": {"disk": "ssd"}, "serviceAccountName": "shop", "securityContext": {"fsGroup": 5}},
        }
    )

    assert merged["metadata"]["labels"]["team"] == "shop"
    assert merged["metadata"]["labels"]["streamqueue.dev/queue"] == "orders"
    assert merged["metadata"]["annotations"]["karpenter.sh/do-not-disrupt"] == "true"
    assert merged["spec"]["nodeSelector"] == {"disk": "ssd"}
    assert merged["spec"]["serviceAccountName"] == "shop"
    security = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}, "fsGroup": 5}
    assert merged["spec"]["securityContext"] == security


def test_a_null_removes_a_field() -> None:
    assert "securityContext" not in handler(overlaid(_container(securityContext=None)))


def test_lists_merge_by_the_key_of_their_items() -> None:
    base = {
        "volumes": [{"name": "a", "emptyDir": {}}, {"name": "b", "emptyDir": {}}],
        "volumeMounts": [{"mountPath": "/a", "name": "a"}],
        "tolerations": [{"key": "x"}],
        "args": ["one", "two"],
    }
    overlay = {
        "volumes": [{"name": "b", "emptyDir": {"medium": "Memory"}}, {"name": "c", "emptyDir": {}}],
        "volumeMounts": [{"mountPath": "/a", "readOnly": True}, {"mountPath": "/c", "name": "c"}],
        "tolerations": [{"key": "y"}],
        "args": ["three"],
    }

    assert merge_overlay(base, overlay) == {
        "volumes": [
            {"name": "a", "emptyDir": {}},
            {"name": "b", "emptyDir": {"medium": "Memory"}},
            {"name": "c", "emptyDir": {}},
        ],
        "volumeMounts": [{"mountPath": "/a", "name": "a", "readOnly": True}, {"mountPath": "/c", "name": "c"}],
        "tolerations": [{"key": "x"}, {"key": "y"}],
        "args": ["three"],
    }


def test_a_port_without_protocol_is_that_of_tcp() -> None:
    """As to the API server, which refuses to apply one twice."""
    base = {"ports": [{"name": "handler", "containerPort": 8080, "protocol": "TCP"}]}
    assert merge_overlay(base, {"ports": [{"name": "http", "containerPort": 8080}]}) == {
        "ports": [{"name": "http", "containerPort": 8080, "protocol": "TCP"}]
    }
    both = merge_overlay(base, {"ports": [{"containerPort": 8080, "protocol": "UDP"}]})
    assert len(both["ports"]) == 2


def test_merging_leaves_its_arguments_alone() -> None:
    base = {"volumes": [{"name": "a", "emptyDir": {}}]}

    merge_overlay(base, {"volumes": [{"name": "a", "emptyDir": {"medium": "Memory"}}]})

    assert base == {"volumes": [{"name": "a", "emptyDir": {}}]}
