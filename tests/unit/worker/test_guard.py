"""When an expired lease may be believed."""

from __future__ import annotations

from dataclasses import replace

from streamqueue.worker.guard import ClaimGuard, ServerState

VISIBILITY = 60.0
CALM = ServerState("run:repl", uptime=10_000.0, time=1_000_000.0)


def settled() -> ClaimGuard:
    """A guard that has looked at a calm server, at 0 and at 100."""
    guard = ClaimGuard(VISIBILITY, 0.0)
    guard.trusts(CALM, 0.0)
    assert guard.trusts(at(100), 100.0)
    return guard


def at(seconds: float, **changes: object) -> ServerState:
    return replace(CALM, time=CALM.time + seconds, **changes)  # type: ignore[arg-type]


def test_a_fresh_process_rests_for_a_heartbeat() -> None:
    guard = ClaimGuard(VISIBILITY, 0.0)
    assert not guard.trusts(CALM, 0.0)
    assert not guard.trusts(at(19.9), 19.9)
    assert guard.trusts(at(20), 20.0)


def test_a_server_that_has_just_started_is_not_believed_for_a_visibility_timeout() -> None:
    guard = ClaimGuard(VISIBILITY, 0.0)
    assert not guard.trusts(at(0, uptime=15.0), 0.0)
    assert not guard.trusts(at(44, uptime=59.0), 44.0)
    assert guard.trusts(at(46, uptime=61.0), 46.0)


def test_a_restart_or_failover_rests_for_a_visibility_timeout() -> None:
    guard = settled()
    assert not guard.trusts(at(110, token="run:other"), 110.0)
    assert not guard.trusts(at(169, token="run:other"), 169.0)
    assert guard.trusts(at(170, token="run:other"), 170.0)


def test_a_jump_of_the_servers_clock_rests_either_way() -> None:
    for jump in (-3600.0, -16.0, 16.0, 3600.0):
        guard = settled()
        assert not guard.trusts(at(110 + jump), 110.0)
        assert not guard.trusts(at(169 + jump), 169.0)
        assert guard.trusts(at(170 + jump), 170.0)
    assert settled().trusts(at(110 + 14), 110.0)


def test_clocks_an_hour_apart_are_no_jump() -> None:
    guard = ClaimGuard(VISIBILITY, 0.0)
    guard.trusts(at(3600), 0.0)
    assert guard.trusts(at(3700), 100.0)


def test_a_lost_connection_rests_for_a_heartbeat_once_it_is_back() -> None:
    guard = settled()
    guard.disturbed()
    assert not guard.trusts(at(200), 200.0)
    assert not guard.trusts(at(219), 219.0)
    assert guard.trusts(at(220), 220.0)


def test_a_lost_connection_shortens_no_rest() -> None:
    guard = settled()
    assert not guard.trusts(at(110, token="run:other"), 110.0)
    guard.disturbed()
    assert not guard.trusts(at(120, token="run:other"), 120.0)
    assert not guard.trusts(at(169, token="run:other"), 169.0)
    assert guard.trusts(at(170, token="run:other"), 170.0)


def test_without_info_the_first_look_rests_for_a_visibility_timeout() -> None:
    guard = ClaimGuard(VISIBILITY, 0.0)
    blind = ServerState(None, uptime=0.0, time=CALM.time)
    assert not guard.trusts(blind, 0.0)
    assert guard.trusts(replace(blind, time=CALM.time + 60), 60.0)
