"""What people get wrong: each is said by a condition and an event, nothing is lost, and it heals when mended."""

from __future__ import annotations

import pytest

from tests.e2e.queue import IMAGE
from tests.e2e.world import World
from tests.kube.redis_server import RedisServer

pytestmark = pytest.mark.concurrent


def test_a_missing_secret(world: World) -> None:
    queue = world.queue("no-secret", redis={"secretRef": {"name": "comes-later", "key": "url"}}).apply()
    condition = queue.await_condition("Ready", "False", "SecretMissing")
    assert "comes-later" in condition["message"]
    queue.await_event("SecretMissing")
    ids = queue.add(3)
    world.secret("comes-later", url=world.server.url)
    queue.await_condition("Ready", "True")
    queue.await_results(ids, 90)


def test_a_wrong_password_and_then_the_right_one(world: World) -> None:
    server = RedisServer(world.kubectl, "redis-auth", password="right-8f3a")
    server.create()
    client = server.wait()
    world.secret("auth", url=server.url.replace("right-8f3a", "wrong-77d1"))
    queue = world.queue("bad-auth", server, client, redis={"secretRef": {"name": "auth", "key": "url"}}).apply()
    queue.await_condition("RedisReachable", "False", "AuthenticationFailed")
    queue.await_event("AuthenticationFailed")
    assert queue.replicas == 0
    ids = queue.add(3)
    world.secret("auth", url=server.url)
    queue.await_condition("RedisReachable", "True")
    queue.await_results(ids, 90)

    assert "bad-auth AuthenticationFailed" in world.chart.log()
    world.assert_untold(("wrong-77d1", "right-8f3a"), [queue])


def test_redis_down_at_the_start(world: World) -> None:
    server = RedisServer(world.kubectl, "redis-late")
    server.create(replicas=0)
    queue = world.queue("late", server).apply()
    queue.await_condition("RedisReachable", "False", "Unreachable")
    queue.await_event("Unreachable")
    assert queue.pods() == []
    server.start()
    queue.client = server.wait()
    queue.await_condition("Ready", "True")
    queue.await_results(queue.add(3), 90)


def test_a_key_that_holds_a_list(world: World) -> None:
    world.redis.rpush("a-list", "theirs")
    queue = world.queue("a-list").apply()
    queue.await_condition("Ready", "False", "WrongType")
    queue.await_event("WrongType")
    assert world.redis.lrange("a-list", 0, -1) == ["theirs"]
    assert queue.pods() == []
    world.redis.delete("a-list")
    queue.await_condition("Ready", "True")
    queue.await_results(queue.add(3), 90)


def test_an_image_that_cant_be_pulled(world: World) -> None:
    handler = {"image": "localhost:1/streamqueue/absent:dev", "timeout": "5s"}
    queue = world.queue("no-image", handler=handler).apply()
    queue.await_condition("Ready", "True")
    ids = queue.add(20)
    failing = queue.await_condition("PodsFailing", "True", "ImagePull", timeout=120)
    assert handler["image"] in failing["message"]
    queue.await_condition("Ready", "False", "ImagePull")
    queue.await_event("ImagePull")
    assert queue.peak() <= 3
    queue.spec["handler"] = handler | {"image": IMAGE}
    queue.apply()
    queue.await_results(ids, 120)
    queue.await_condition("Ready", "True")
    world.view.eventually(lambda: not queue.condition("PodsFailing"), 60, "the warning is gone with the pods")


def test_a_template_that_the_api_server_refuses_leaves_the_last_good_one(world: World) -> None:
    queue = world.queue("template", scaling={"minReplicas": 1, "maxReplicas": 1}).apply()
    [pod] = queue.await_ready_pods(1)
    good = queue.spec["template"]
    queue.spec["template"] = {"spec": {"nodeSelector": {"no such label!": "x"}}}
    queue.apply()
    condition = queue.await_condition("Accepted", "False", "TemplateInvalid")
    assert "nodeSelector" in condition["message"]
    queue.spec["template"] = {"spec": {"nodeSelektor": {}}}
    queue.apply()
    world.view.eventually(
        lambda: "nodeSelektor" in queue.condition("Accepted")["message"], 60, "a field that no pod has is named"
    )
    assert [each["metadata"]["uid"] for each in queue.ready_pods()] == [pod["metadata"]["uid"]]
    queue.await_results(queue.add(3), 60)
    queue.spec["template"] = good
    queue.apply()
    queue.await_condition("Accepted", "True")


def test_a_new_queues_template_loses_no_field_unsaid(world: World) -> None:
    queue = world.queue("misspelt", template={"spec": {"nodeSelektor": {}}}).apply()
    assert "nodeSelektor" in queue.await_condition("Accepted", "False", "TemplateInvalid")["message"]


def test_a_field_that_the_protocol_has_no_use_for(world: World) -> None:
    queue = world.queue("ignored", results={"ttl": "1h"}).apply()
    assert queue.await_condition("FieldsIgnored", "True")["message"].startswith("results ")
    queue.await_event("NoEffect")
    queue.await_results(queue.add(1), 90)
    del queue.spec["results"]
    queue.apply()
    world.view.eventually(
        lambda: not queue.condition("FieldsIgnored"), 30, "the field is gone, and so is the condition"
    )
