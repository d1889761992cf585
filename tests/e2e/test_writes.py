"""The fences of the operator's writes, at a real API server: what was decided on old news is refused."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import pytest
from kubernetes.aio import client, config

from streamqueue.controller.cluster.children import TRIES, Applied, converge
from streamqueue.controller.cluster.kube import Kube, KubeError, NotLeader
from streamqueue.controller.cluster.store import Holdings, Store
from streamqueue.controller.kinds import DEPLOYMENTS
from tests.e2e.queue import IMAGE
from tests.e2e.world import World

NAME = "fenced"


@dataclass
class Fleet:
    """A Deployment that belongs to `owner`, which the installed operator doesn't look after."""

    world: World
    kube: Kube
    owner: dict[str, Any]
    container: dict[str, Any] = field(default_factory=lambda: {"command": ["sleep", "60"]})

    def body(self, replicas: int) -> dict[str, Any]:
        labels = {"app": NAME}
        owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": NAME, "uid": self.owner["uid"], "controller": True}
        metadata = {"name": NAME, "namespace": self.world.kubectl.namespace, "ownerReferences": [owner]}
        pod = {"containers": [{"name": "handler", "image": IMAGE, **self.container}]}
        spec = {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": pod}}
        return {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": metadata,
            "spec": {**spec, "replicas": replicas, "paused": True},
        }

    async def converge(self, live: dict[str, Any] | None, replicas: int) -> None:
        """As the operator does when `live` is what it last saw."""
        held = Holdings(queue={"metadata": self.owner}, owned={DEPLOYMENTS: live} if live else {})
        await converge(self.kube, Store(), held, Applied(), [(DEPLOYMENTS, self.body(replicas))])

    def live(self) -> dict[str, Any]:
        return dict(self.world.kubectl.get("deployment", NAME))


@pytest.fixture
async def fleet(world: World) -> AsyncIterator[Fleet]:
    world.kubectl.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": NAME}})
    configuration = client.Configuration()
    await config.load_kube_config(config_file=world.kubectl.kubeconfig, client_configuration=configuration)
    kube = Kube(client.ApiClient(configuration))
    fleet = Fleet(world, kube, world.kubectl.get("configmap", NAME)["metadata"])
    await fleet.converge(None, 3)
    yield fleet
    world.kubectl("delete", "configmap,deployment", NAME, "--ignore-not-found")
    await kube.close()


async def test_a_scale_down_decided_on_old_news_is_refused(fleet: Fleet) -> None:
    old = fleet.live()
    fleet.world.kubectl("annotate", "deployment", NAME, "news=something-happened")
    with pytest.raises(KubeError) as refused:
        await fleet.converge(old, 1)
    assert refused.value.status == 409
    assert fleet.live()["spec"]["replicas"] == 3
    await fleet.converge(old, 4)  # more is never wrong enough to wait for
    await fleet.converge(fleet.live(), 2)
    assert fleet.live()["spec"]["replicas"] == 2


async def test_more_hands_wait_for_no_round_where_the_status_moves_again_and_again(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with each pod that becomes ready; and a Deployment that has just been made is written by its controller."""
    old = fleet.live()
    get, news = fleet.kube.get, count(1)

    async def get_and_move(*arguments: Any) -> Any:
        now = await get(*arguments)
        if (n := next(news)) < TRIES - 1:
            fleet.world.kubectl("annotate", "deployment", NAME, f"news-{n}=something-happened")
        return now

    fleet.world.kubectl("annotate", "deployment", NAME, "news-0=something-happened")
    monkeypatch.setattr(fleet.kube, "get", get_and_move)
    await fleet.converge(old, 4)
    assert fleet.live()["spec"]["replicas"] == 4


async def test_an_object_that_was_deleted_meanwhile_is_not_made_anew_by_an_update(fleet: Fleet) -> None:
    old = fleet.live()
    fleet.world.kubectl("delete", "deployment", NAME)
    with pytest.raises(KubeError):
        await fleet.converge(old, 4)
    assert fleet.world.kubectl("get", "deployment", NAME, check=False).returncode != 0


async def test_what_is_left_out_of_what_was_created_goes(fleet: Fleet) -> None:
    """The API server takes a POST and an apply for two managers, and would keep what the first one set."""
    fleet.container = {"args": ["60"]}
    for _ in range(5):  # rounds: a controller that writes at the same moment is quicker than one
        live = await fleet.kube.get(DEPLOYMENTS, fleet.world.kubectl.namespace, NAME)  # as a watch shows it
        await fleet.converge(live, 3)
    [container] = fleet.live()["spec"]["template"]["spec"]["containers"]
    assert (container.get("command"), container["args"]) == (None, ["60"])


async def test_who_doesnt_lead_writes_nothing(fleet: Fleet) -> None:
    before = fleet.live()
    fleet.kube.may_write = lambda: False
    with pytest.raises(NotLeader):
        await fleet.converge(before, 5)
    assert json.dumps(fleet.live()) == json.dumps(before)
