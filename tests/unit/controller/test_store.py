"""The store shows what is there now, whatever the order in which news arrive."""

from __future__ import annotations

import pytest

from streamqueue.api.template import DELETION_COST
from streamqueue.controller.cluster.store import GONE_KEPT, GONE_MOST, Store
from streamqueue.controller.kinds import CRON_JOBS, DEPLOYMENTS, PODS, STREAM_QUEUES, Body, Kind
from streamqueue.controller.pods.states import VICTIM_COST
from streamqueue.manifests.labels import QUEUE
from tests.unit.controller.bodies import CREATED, KEY, container, holdings, owned, pod, queue


@pytest.fixture
def store() -> Store:
    store = Store()
    store.put(STREAM_QUEUES, queue())
    store.put(DEPLOYMENTS, owned("Deployment"))
    store.put(PODS, pod())
    return store


def test_objects_gather_under_their_queue(store: Store) -> None:
    assert holdings(store).owned[DEPLOYMENTS]["metadata"]["uid"] == "o1"
    assert list(holdings(store).pods) == ["orders-6b7f9-abcde"]


def test_an_older_state_never_replaces_a_newer_one(store: Store) -> None:
    store.put(PODS, pod(version=7, phase="Running"))
    store.put(PODS, pod(version=3, phase="Pending"))
    assert holdings(store).pods["orders-6b7f9-abcde"]["status"]["phase"] == "Running"


def test_a_queue_that_was_edited_shows_its_new_spec(store: Store) -> None:
    before = holdings(store)
    store.show(STREAM_QUEUES, queue(version=2, spec={"stream": "paid"}))
    assert before.queue and before.queue["spec"] == {"stream": "paid"}, "to a round under way, too"


def test_a_queue_that_a_finalizer_holds_is_none_of_ours(store: Store) -> None:
    assert store.has(KEY) and [key for key, _ in store.queues()] == [KEY]
    going = queue(version=2)
    going["metadata"]["deletionTimestamp"] = CREATED
    store.show(STREAM_QUEUES, going)
    assert not store.has(KEY) and not list(store.queues())
    store.remove(STREAM_QUEUES, going)
    assert not store.has(KEY) and not store.has(("shop", "never"))


def test_who_set_which_field_is_not_kept(store: Store) -> None:
    body = pod(version=2)
    body["metadata"]["managedFields"] = [{"manager": "kubelet", "operation": "Update", "fieldsV1": {}}]
    store.show(PODS, body)
    assert "managedFields" not in holdings(store).pods["orders-6b7f9-abcde"]["metadata"]


def test_what_is_gone_is_not_brought_back_by_its_last_state(store: Store) -> None:
    store.remove(PODS, pod())
    store.show(PODS, pod())
    assert not holdings(store).pods


def test_a_state_that_is_known_is_not_kept_anew(store: Store) -> None:
    known = holdings(store).pods["orders-6b7f9-abcde"]
    store.show(PODS, pod())
    assert holdings(store).pods["orders-6b7f9-abcde"] is known
    store.show(PODS, pod(version=2))
    assert holdings(store).pods["orders-6b7f9-abcde"] is not known


def test_the_end_of_a_predecessor_doesnt_remove_its_successor(store: Store) -> None:
    """It replaced the first, whatever its version."""
    store.put(DEPLOYMENTS, owned("Deployment", uid="o2", version=1))
    store.remove(DEPLOYMENTS, owned("Deployment", uid="o1"))
    assert holdings(store).owned[DEPLOYMENTS]["metadata"]["uid"] == "o2"


@pytest.mark.parametrize("told", [True, False], ids=["by-the-watch", "by-a-list"])
def test_who_held_a_queue_doesnt_hold_its_successor(store: Store, told: bool) -> None:
    """A round under way would write what the first one's spec says in the second one's name."""
    before = holdings(store)
    if told:
        store.remove(STREAM_QUEUES, queue(version=5))
    store.show(STREAM_QUEUES, queue(uid="q2", version=6))
    assert before.queue is None
    after = holdings(store)
    assert after.queue and after.queue["metadata"]["uid"] == "q2" and after.owned and after.pods
    store.show(STREAM_QUEUES, queue(uid="q2", version=7))
    assert holdings(store) is after


def test_a_deployment_that_only_bears_our_label_isnt_ours(store: Store) -> None:
    mine = owned("Deployment", owner="mine", uid="o9", controller=False)
    store.put(DEPLOYMENTS, mine)
    assert store.get(("shop", "mine")) is None
    store.remove(DEPLOYMENTS, mine)
    mine["metadata"]["ownerReferences"][0] |= {"controller": True, "kind": "Rollout"}
    store.put(DEPLOYMENTS, mine | {"metadata": mine["metadata"] | {"resourceVersion": "2"}})
    assert store.get(("shop", "mine")) is None, "a queue's name is not its kind"
    store.remove(DEPLOYMENTS, owned("Deployment", owner="other"))  # which was never shown
    assert store.get(("shop", "other")) is None


@pytest.mark.parametrize("owners", [[], [{"kind": "StreamQueue", "name": "orders", "uid": "q1"}]])
def test_what_lost_its_owner_is_no_queues_any_more(store: Store, owners: list[Body]) -> None:
    """Its last state would pass for its state ever after, and each write that goes by it be refused."""
    released = owned("Deployment", version=5)
    released["metadata"]["ownerReferences"] = owners
    store.show(DEPLOYMENTS, released)
    assert not holdings(store).owned
    store.show(DEPLOYMENTS, owned("Deployment", version=4))
    assert not holdings(store).owned, "by no earlier state"
    store.show(DEPLOYMENTS, owned("Deployment", version=6))
    store.show(DEPLOYMENTS, released)
    assert holdings(store).owned, "it has it back since"


def test_a_cron_job_that_lost_its_owner_is_found_by_its_longer_name(store: Store) -> None:
    job = owned("CronJob")
    job["metadata"]["name"] = "orders-reclaim"
    store.put(CRON_JOBS, job)
    store.show(CRON_JOBS, job | {"metadata": job["metadata"] | {"resourceVersion": "5", "ownerReferences": []}})
    assert CRON_JOBS not in holdings(store).owned


@pytest.mark.parametrize("labels", [{}, {QUEUE: "to-look-into"}])
def test_a_pod_that_lost_its_label_is_no_queues_any_more(store: Store, labels: dict[str, str]) -> None:
    taken = pod(version=5)
    taken["metadata"]["labels"] = labels
    store.show(PODS, taken)
    assert not holdings(store).pods
    assert [gone.pod["metadata"]["uid"] for gone in holdings(store).gone] == ["p1"], "if it is dead, its tasks are free"


def test_a_pod_that_goes_leaves_its_last_status_as_evidence(store: Store) -> None:
    ended = container(state={"terminated": {"exitCode": 1}}, imageID="not needed any more")
    disrupted = {"type": "DisruptionTarget", "status": "True"}
    store.remove(PODS, pod(containerStatuses=[ended], conditions=[{"type": "Ready", "status": "False"}, disrupted]))
    assert holdings(store).pods == {}
    kept = {"containerStatuses": [container(state=ended["state"])], "conditions": [disrupted]}
    assert holdings(store).gone[0].pod["status"] == kept


def test_what_nobody_takes_is_forgotten_some_time() -> None:
    """A standby watches pods come and go for months."""
    store = Store(clock := Clock())
    store.show(STREAM_QUEUES, queue())
    for n in range(3 * GONE_MOST):
        clock.now += 1.0
        store.show(PODS, pod(uid=f"p{n}"))
        store.remove(PODS, pod(uid=f"p{n}"))
    assert len(holdings(store).gone) == GONE_KEPT + 1
    for n in range(3 * GONE_MOST):
        store.show(PODS, pod(uid=f"q{n}"))
        store.remove(PODS, pod(uid=f"q{n}"))
    assert len(holdings(store).gone) == GONE_MOST
    assert holdings(store).gone[-1].pod["metadata"]["uid"] == f"q{3 * GONE_MOST - 1}"


@pytest.mark.parametrize("kind", [STREAM_QUEUES, DEPLOYMENTS, PODS])
@pytest.mark.parametrize("version", [1, 10])
def test_a_full_list_removes_what_vanished_without_an_event(store: Store, kind: Kind, version: int) -> None:
    store.replace(kind, [], version=version)
    assert [each for each in (STREAM_QUEUES, DEPLOYMENTS, PODS) if not shown(store, each)] == [kind]


def test_a_full_list_leaves_what_is_newer_than_itself(store: Store) -> None:
    store.put(PODS, pod(name="orders-6b7f9-fghij", uid="p2", version=20))
    store.replace(PODS, [pod()], version=10)
    assert set(holdings(store).pods) == {"orders-6b7f9-abcde", "orders-6b7f9-fghij"}


@pytest.mark.parametrize("kind", [STREAM_QUEUES, DEPLOYMENTS, PODS])
def test_what_is_gone_is_brought_back_by_no_older_state(store: Store, kind: Kind) -> None:
    made = {STREAM_QUEUES: queue, DEPLOYMENTS: lambda **more: owned("Deployment", **more), PODS: pod}[kind]
    store.remove(kind, made(version=20))
    store.put(kind, made(version=12))  # the answer to a write of ours that came before
    store.replace(kind, [made()], version=15)  # a list that was under way
    assert not shown(store, kind)
    store.replace(kind, [], version=25)
    assert not shown(store, kind)


def test_what_only_went_out_of_sight_comes_back(store: Store) -> None:
    """To a watch by label an object is deleted when it loses the label."""
    store.remove(PODS, pod(version=20))
    store.show(PODS, pod(version=21))
    assert shown(store, PODS)


def shown(store: Store, kind: Kind) -> bool:
    found = store.get(KEY)
    if found is None:
        return False
    return bool(found.queue if kind is STREAM_QUEUES else found.pods if kind is PODS else found.owned)


@pytest.mark.parametrize("last", [STREAM_QUEUES, DEPLOYMENTS, PODS])
def test_a_queue_is_forgotten_when_nothing_of_it_is_left(store: Store, last: Kind) -> None:
    things = {STREAM_QUEUES: queue(), DEPLOYMENTS: owned("Deployment"), PODS: pod()}
    for kind, body in things.items():
        if kind is not last:
            store.remove(kind, body)
    assert store.get(KEY) is not None
    assert [key for key, _ in store.queues()] == ([KEY] if last is STREAM_QUEUES else [])
    store.remove(last, things[last])
    assert store.get(KEY) is None


def test_the_oldest_queue_comes_first_by_seniority() -> None:
    store = Store()
    young, old = queue("a", uid="qa"), queue("b", uid="qb")
    young["metadata"]["creationTimestamp"] = "2026-02-01T00:00:00Z"
    store.put(STREAM_QUEUES, young)
    store.put(STREAM_QUEUES, old)
    held = sorted((held for _, held in store.queues()), key=lambda held: held.seniority)
    assert [each.key[1] for each in held] == ["b", "a"]


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def victim(version: int) -> Body:
    body = pod(version=version)
    body["metadata"]["annotations"] = {DELETION_COST: VICTIM_COST}
    return body


NAME = "orders-6b7f9-abcde"


def test_a_mark_counts_from_when_the_watch_shows_it() -> None:
    store = Store(clock := Clock())
    store.show(STREAM_QUEUES, queue())
    store.show(PODS, pod())
    store.put(PODS, victim(version=2))  # the answer to our own write
    assert holdings(store).marked_since == {}
    clock.now = 100.3
    store.show(PODS, victim(version=2))
    clock.now = 101.0
    store.show(PODS, victim(version=3))
    assert holdings(store).marked_since == {NAME: 100.3}


def test_an_answer_that_comes_after_the_watch_leaves_the_time_that_was_noted() -> None:
    store = Store(clock := Clock())
    store.show(STREAM_QUEUES, queue())
    store.show(PODS, victim(version=2))
    clock.now = 100.5
    store.put(PODS, victim(version=2))
    assert holdings(store).marked_since == {NAME: 100.0}


def test_a_mark_that_was_taken_off_counts_anew_when_it_comes_back() -> None:
    store = Store(clock := Clock())
    store.show(STREAM_QUEUES, queue())
    store.show(PODS, victim(version=2))
    store.put(PODS, pod(version=3))
    assert holdings(store).marked_since == {}
    clock.now = 107.0
    store.show(PODS, victim(version=2))  # late news
    assert holdings(store).marked_since == {}
    store.show(PODS, victim(version=4))
    assert holdings(store).marked_since == {NAME: 107.0}


def test_a_full_list_shows_marks_too_and_a_pod_that_goes_takes_its_own_along() -> None:
    store = Store(Clock())
    store.show(STREAM_QUEUES, queue())
    store.replace(PODS, [victim(version=2)], version=5)
    assert holdings(store).marked_since == {NAME: 100.0}
    store.replace(PODS, [], version=9)
    assert holdings(store).marked_since == {}
