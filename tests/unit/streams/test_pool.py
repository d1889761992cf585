"""What every connection has in common, on any system."""

from __future__ import annotations

import socket

import pytest

from streamqueue.streams import connect
from streamqueue.streams.connection import pool

DARWIN = 0x10  # TCP_KEEPALIVE


def test_a_mac_has_another_name_for_the_silence_before_a_keepalive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(socket, "TCP_KEEPIDLE")
    monkeypatch.setattr(socket, "TCP_KEEPALIVE", DARWIN, raising=False)
    connect("redis://localhost")
    assert pool.options()["socket_keepalive_options"] == {DARWIN: 60, socket.TCP_KEEPINTVL: 15, socket.TCP_KEEPCNT: 4}


def test_keepalives_come_within_two_minutes() -> None:
    expected = {socket.TCP_KEEPIDLE: 60, socket.TCP_KEEPINTVL: 15, socket.TCP_KEEPCNT: 4}
    assert pool.options()["socket_keepalive_options"] == expected
