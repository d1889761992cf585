"""Five incidents, from the first look to the mend, with nothing but `kubectl get sq` and the command line.

With `--incidents FILE` the session is written down there (`make incidents`).
"""

from __future__ import annotations

import datetime
import time

import pytest

from tests.e2e.producer import producing
from tests.e2e.queue import IMAGE, Queue
from tests.e2e.transcript import Incidents
from tests.e2e.world import World

pytestmark = pytest.mark.concurrent


def overdue(queue: Queue, seconds: float) -> bool:
    """Whether a task has waited for longer, by the stream and by the status, which may tell of one that has begun."""
    (group,) = (row for row in queue.client.xinfo_groups(queue.stream) if row["name"] == queue.group)
    waiting = queue.client.xrange(queue.stream, f"({group['last-delivered-id']}", count=1)
    since = queue.status.get("oldestWaitingTime")
    if not (waiting and since):
        return False
    stamps = int(waiting[0][0].partition("-")[0]) / 1000, datetime.datetime.fromisoformat(since).timestamp()
    return all(time.time() - stamp > seconds for stamp in stamps)


def test_a_password_was_changed(world: World, incidents: Incidents) -> None:
    log = incidents.open("1. Nothing moves since the password was changed")
    old, new = "pw-41c7", "pw-9f02"
    incidents.redis.acl_setuser("checkout", enabled=True, passwords=[f"+{old}"], keys="*", categories=["+@all"])
    url = incidents.server.url.replace("//", "//checkout:{}@")
    world.secret("checkout-redis", url=url.format(old))
    queue = incidents.queue("checkout", redis={"secretRef": {"name": "checkout-redis", "key": "url"}}).apply()
    queue.await_condition("RedisReachable", "True")
    incidents.redis.acl_setuser("checkout", enabled=True, reset_passwords=True, passwords=[f"+{new}"])
    for address in [each["addr"] for each in incidents.redis.client_list() if each["user"] == "checkout"]:
        incidents.redis.client_kill_filter(addr=address)
    queue.add(3)
    queue.await_condition("RedisReachable", "False")

    log.tell("Orders come in and nothing is worked on. The columns that come from Redis are empty: nobody knows.")
    log.run("kubectl get sq checkout")
    said = log.run("streamqueue doctor checkout", code=1)
    assert "checkout-redis" in said and "password" in said
    log.tell("The password was changed on the server and not in the Secret. Put the new URL there:")
    log.file("new-url.yaml", f"stringData: {{url: '{url.format(new)}'}}")
    log.run("kubectl patch secret checkout-redis --patch-file new-url.yaml")
    queue.await_condition("RedisReachable", "True")
    world.view.eventually(lambda: len(queue.results()) == 3, 90, "the three tasks done")
    log.tell("No restart is needed; what waited is worked on.")
    log.run("streamqueue doctor checkout")
    assert not any(password in part for part in log.parts for password in (old, new))


def test_tasks_gave_up(world: World, incidents: Incidents) -> None:
    log = incidents.open("2. Tasks gave up overnight")
    queue = incidents.queue("invoices", delivery={"visibilityTimeout": "2m", "maxDeliveries": 1}).apply()
    ids = queue.add(3, fault="exit")
    world.view.eventually(lambda: len(queue.dead_letters()) == 3, 120, "three dead letters")
    world.view.eventually(lambda: queue.status.get("deadLetters") == 3, 30, "they are in the status")

    log.tell("The DLQ column isn't zero.")
    log.run("kubectl get sq invoices")
    said = log.run("streamqueue doctor invoices", code=1)
    assert "3 x container Error, exit code 3" in said and "never-acknowledges" not in said
    log.run("streamqueue dlq ls invoices")
    log.tell("The handler ended with exit code 3: a file was missing, which is there again. First what would be done:")
    assert "3" in log.run("streamqueue dlq redrive invoices --dry-run")
    log.run("streamqueue dlq redrive invoices")
    queue.await_results(ids, 90)
    log.tell("And one of them, by its id, to be sure:")
    assert "Acknowledged" in log.run(f"streamqueue explain invoices {ids[0]}")


def test_too_few_workers(world: World, incidents: Incidents) -> None:
    log = incidents.open("3. It falls behind")
    scaling = {"minReplicas": 1, "maxReplicas": 1, "targetWait": "5s"}
    queue = incidents.queue("thumbnails", scaling=scaling).apply()
    queue.await_ready_pods(1)
    with producing(queue, per_second=6, seconds="0.4") as ids:
        world.view.eventually(lambda: overdue(queue, 6) and queue.status["reason"] == "AtMax", 60, "a task is late")

        log.tell("OLDEST grows past the promise of five seconds.")
        log.run("kubectl get sq thumbnails")
        assert "raise maxReplicas" in log.run("streamqueue doctor thumbnails", code=1)
        log.run("""kubectl patch sq thumbnails --type merge -p '{"spec": {"scaling": {"maxReplicas": 4}}}'""")
        queue.await_ready_pods(4)
        world.view.eventually(lambda: not overdue(queue, 5), 60, "the promise is kept")
    queue.await_results(ids, 60)
    log.run("kubectl get sq thumbnails")
    log.run("streamqueue doctor thumbnails")


def test_an_image_with_a_slip(world: World, incidents: Incidents) -> None:
    log = incidents.open("4. A release that never starts")
    absent = "localhost:1/mailer:1.5"
    queue = incidents.queue("mails", handler={"image": absent, "timeout": "5s"}).apply()
    ids = queue.add(2)
    queue.await_condition("PodsFailing", "True", "ImagePull", timeout=120)

    log.run("kubectl get sq mails")
    assert absent in log.run("streamqueue doctor mails", code=1)
    log.tell("There is no such image. The one that was meant:")
    log.run(f"""kubectl patch sq mails --type merge -p '{{"spec": {{"handler": {{"image": "{IMAGE}"}}}}}}'""")
    queue.await_results(ids, 120)
    log.run("streamqueue doctor mails")


def test_somebody_paused_it(world: World, incidents: Incidents) -> None:
    log = incidents.open("5. No workers, and nothing is wrong")
    queue = incidents.queue("reports", scaling={"maxReplicas": 2, "paused": True}).apply()
    queue.await_condition("ScalingActive", "False")
    ids = queue.add(4)
    world.view.eventually(lambda: queue.status.get("lag") == 4, 60, "the tasks in the status")

    log.tell("Every pod is healthy, for there is none; and four tasks wait.")
    log.run("kubectl get sq reports")
    assert "streamqueue resume reports" in log.run("streamqueue doctor reports")
    log.run("streamqueue resume reports")
    queue.await_results(ids, 90)
    log.run("streamqueue doctor reports")
