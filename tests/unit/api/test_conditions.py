from __future__ import annotations

from streamqueue.api.conditions import MESSAGE_MAX_LENGTH, Condition, is_well, merge, transitions

READY = Condition("Ready", True, "Working", "all is well")
DOWN = Condition("Ready", False, "RedisDown", "the server does not answer")
EARLIER, LATER = "2026-01-01T00:00:00Z", "2026-01-01T00:05:00Z"


def test_a_condition_has_the_fields_of_the_api() -> None:
    assert merge([], [READY], EARLIER, 3) == [
        {
            "type": "Ready",
            "status": "True",
            "reason": "Working",
            "message": "all is well",
            "observedGeneration": 3,
            "lastTransitionTime": EARLIER,
        }
    ]


def test_the_transition_time_moves_with_the_status_alone() -> None:
    first = merge([], [DOWN], EARLIER, 1)
    other_reason = merge(first, [Condition("Ready", False, "NoSecret", "...")], LATER, 2)
    healed = merge(other_reason, [READY], LATER, 2)

    assert other_reason[0]["lastTransitionTime"] == EARLIER
    assert other_reason[0]["reason"] == "NoSecret"
    assert healed[0]["lastTransitionTime"] == LATER


def test_unknown_is_neither_true_nor_false() -> None:
    assert merge([], [Condition("Ready", None, "NotRead", "...")], EARLIER, 1)[0]["status"] == "Unknown"


def test_conditions_that_are_no_longer_said_go_and_the_rest_is_in_order() -> None:
    warned = merge([], [READY, Condition("Pinned", True, "Pinned", "...")], EARLIER, 1)

    assert [each["type"] for each in warned] == ["Pinned", "Ready"]
    assert [each["type"] for each in merge(warned, [READY], LATER, 1)] == ["Ready"]


def test_a_message_fits_the_schema() -> None:
    long = Condition("Ready", False, "Long", "x" * (MESSAGE_MAX_LENGTH + 1))

    assert len(merge([], [long], EARLIER, 1)[0]["message"]) == MESSAGE_MAX_LENGTH


def test_a_transition_is_a_change_of_status_or_reason() -> None:
    down = merge([], [DOWN], EARLIER, 1)
    reworded = merge(down, [Condition("Ready", False, "RedisDown", "for 5 minutes")], LATER, 2)
    other_reason = merge(down, [Condition("Ready", False, "NoSecret", "...")], LATER, 2)

    assert [each["reason"] for each in transitions([], down)] == ["RedisDown"]
    assert transitions(down, reworded) == []
    assert [each["reason"] for each in transitions(down, other_reason)] == ["NoSecret"]
    assert [each["status"] for each in transitions(down, merge(down, [READY], LATER, 2))] == ["True"]


def test_good_news_is_what_is_always_said_and_holds() -> None:
    said = [READY, DOWN, Condition("Accepted", None, "NotRead", "..."), Condition("Pinned", True, "Pinned", "...")]

    assert [is_well(each) for condition in said for each in merge([], [condition], EARLIER, 1)] == [True, *[False] * 3]
