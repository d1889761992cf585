"""What is said of a server that may lose work; nothing where it doesn't say what it is set to."""

from __future__ import annotations

import pytest

from streamqueue.controller.status.assess import Facts, conditions
from streamqueue.controller.status.risks import steady
from streamqueue.streams.durability import Durability, worst

SAFE = Durability("noeviction", True, 0.5)


def reason(durability: Durability | None) -> str | None:
    found = [each for each in conditions(Facts(durability=durability)) if each.type == "RedisMayLoseWork"]
    assert [each.status for each in found] in ([], [True])
    return found[0].reason if found else None


@pytest.mark.parametrize(
    ("durability", "expected"),
    [
        (None, None),
        (SAFE, None),
        (Durability(), None),
        (Durability("noeviction", None, None), None),
        (Durability("noeviction", True, 0.8), None),
        (Durability("allkeys-lru", True, 0.1), "EvictsKeys"),
        (Durability("volatile-ttl", None, None), "EvictsKeys"),
        (Durability(None, False, None), "KeepsNothing"),
        (Durability("noeviction", False, 0.9), "KeepsNothing"),
        (Durability("noeviction", True, 0.81), "MemoryNearlyFull"),
        (Durability(None, None, 0.95), "MemoryNearlyFull"),
    ],
)
def test_the_gravest_reason_is_said(durability: Durability | None, expected: str | None) -> None:
    assert reason(durability) == expected


@pytest.mark.parametrize(
    ("others", "expected"),
    [
        ([SAFE], SAFE),
        ([Durability("allkeys-lru", True, 0.2)], Durability("allkeys-lru", True, 0.5)),
        ([Durability("noeviction", False, 0.9)], Durability("noeviction", False, 0.9)),
        ([Durability()], Durability(None, None, 0.5)),
    ],
)
def test_a_cluster_is_as_safe_as_its_worst_node(others: list[Durability], expected: Durability) -> None:
    assert worst([SAFE, *others]) == expected


def test_a_memory_around_the_limit_is_nearly_full_all_the_while() -> None:
    """Each look would be another event, for each queue of the server."""
    said, known = [], None
    for share in (0.79, 0.81, 0.79, 0.76, 0.81, 0.74, 0.76):
        known = steady(known, Durability("noeviction", True, share))
        said.append(reason(known) is not None)
    assert said == [False, True, True, True, True, False, False]
    some, more = Durability("noeviction", True, 0.5), Durability("noeviction", True, 0.78)
    assert steady(some, more) == more, "metrics show it"


def test_what_is_nearly_full_and_then_hidden_is_unknown() -> None:
    assert steady(Durability("noeviction", True, 0.9), Durability()) == Durability()
