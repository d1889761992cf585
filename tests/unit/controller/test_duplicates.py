from __future__ import annotations

import pytest

from streamqueue.controller.duplicates import Claim, Claims

ONE, TWO = ("shop", "one"), ("shop", "two")
CLAIM = Claim("redis", "orders", "workers")


def test_who_comes_first_has_it() -> None:
    claims = Claims()
    assert claims.claim(ONE, CLAIM) is None
    assert claims.claim(TWO, CLAIM) == ONE
    assert claims.clash(ONE, CLAIM) == "StreamQueue shop/one has this stream and group already: delete one of the two"
    assert claims.claim(ONE, CLAIM) is None


def test_another_group_on_the_stream_is_free() -> None:
    claims, audit = Claims(), Claim("redis", "orders", "audit")
    claims.claim(ONE, CLAIM)
    assert claims.claim(TWO, audit) is None
    claims.drop(ONE)
    assert claims.claim(("shop", "three"), audit) == TWO


@pytest.mark.parametrize("group", ["workers", "audit"])
def test_streams_that_share_their_keys_are_one(group: str) -> None:
    """Delayed tasks are the stream's, whatever group reads it: they would come out in the other one."""
    claims, braced = Claims(), Claim("redis", "{orders}", group)
    claims.claim(ONE, CLAIM)
    assert claims.claim(TWO, braced) == ONE
    assert claims.clash(ONE, braced) == (
        "StreamQueue shop/one reads orders, whose keys are also those of {orders}: delete one of the two"
    )
    assert claims.claim(TWO, Claim("elsewhere", "{orders}", group)) is None
    claims.drop(ONE)
    assert claims.claim(TWO, braced) is None
    assert claims.claim(ONE, CLAIM) == TWO


def test_a_deleted_queue_makes_room() -> None:
    claims = Claims()
    claims.claim(ONE, CLAIM)
    claims.drop(ONE)
    assert claims.claim(TWO, CLAIM) is None


def test_a_queue_that_moves_to_another_endpoint_lets_go_of_the_first() -> None:
    claims = Claims()
    claims.claim(ONE, CLAIM)
    claims.claim(ONE, Claim("other", "orders", "workers"))
    assert claims.claim(TWO, CLAIM) is None


def test_a_queue_that_moves_to_where_another_is_lets_go_of_the_first_too() -> None:
    """Or a third one would be refused for a queue that is refused itself."""
    claims, other = Claims(), Claim("other", "orders", "workers")
    claims.claim(TWO, other)
    claims.claim(ONE, CLAIM)
    assert claims.claim(ONE, other) == TWO
    assert claims.claim(("shop", "three"), CLAIM) is None
