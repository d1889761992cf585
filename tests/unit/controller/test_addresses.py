"""A short host name is a Service in the queue's namespace, not in the operator's."""

import pytest

from streamqueue.controller.endpoints.addresses import as_pods_see_it


@pytest.mark.parametrize(
    ("url", "seen"),
    [
        ("redis://redis:6379/0", "redis://redis.shop:6379/0"),
        ("redis://redis", "redis://redis.shop"),
        ("rediss://user:p%40ss@my-redis:6380/2?x=y", "rediss://user:p%40ss@my-redis.shop:6380/2?x=y"),
        ("redis://:a@b:c@redis:6379/0", "redis://:a@b:c@redis.shop:6379/0"),
    ],
)
def test_a_short_name_is_a_service_of_the_queues_namespace(url: str, seen: str) -> None:
    assert as_pods_see_it(url, "shop") == seen


@pytest.mark.parametrize(
    "url",
    [
        "redis://redis.other:6379/0",
        "redis://redis.other.svc.cluster.local:6379/0",
        "rediss://cache.example.net:6380/0",
        "redis://10.0.0.7:6379/0",
        "redis://[::1]:6379/0",
        "redis://localhost:6379/0",
        "redis://[broken",
        "nonsense",
        "",
    ],
)
def test_any_other_host_stays(url: str) -> None:
    assert as_pods_see_it(url, "shop") == url
