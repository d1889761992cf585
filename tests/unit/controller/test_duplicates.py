from __future__ import annotations

from streamqueue.controller.duplicates import Claim, Claims

ONE, TWO = ("shop", "one"), ("shop", "two")
CLAIM = Claim("redis", "orders", "workers")


def test_who_comes_first_has_it() -> None:
    claims = Claims()
    assert claims.claim(ONE, CLAIM) is None
    assert claims.claim(TWO, CLAIM) == ONE
    assert claims.claim(ONE, CLAIM) is None


def test_another_group_on_the_stream_is_free() -> None:
    claims = Claims()
    claims.claim(ONE, CLAIM)
    assert claims.claim(TWO, Claim("redis", "orders", "audit")) is None


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
