from __future__ import annotations

import pytest

from streamqueue.controller.settings import Settings, SettingsError

GOOD = {"STREAMQUEUE_IMAGE": "streamqueue/operator:dev"}


def test_namespaces_are_a_list_and_empty_means_all() -> None:
    assert Settings.from_env(GOOD).namespaces == ()
    assert Settings.from_env(GOOD | {"STREAMQUEUE_NAMESPACES": "a, b"}).namespaces == ("a", "b")


@pytest.mark.parametrize(
    ("env", "names"),
    [
        ({}, "STREAMQUEUE_IMAGE"),
        (GOOD | {"STREAMQUEUE_PORT": "http"}, "STREAMQUEUE_PORT"),
        (GOOD | {"STREAMQUEUE_PORT": "0"}, "STREAMQUEUE_PORT"),
        (GOOD | {"STREAMQUEUE_LEADER_ELECTION": "yes"}, "STREAMQUEUE_LEADER_ELECTION"),
        (GOOD | {"STREAMQUEUE_LOG_LEVEL": "loud"}, "STREAMQUEUE_LOG_LEVEL"),
        (GOOD | {"STREAMQUEUE_RECLAIM": "disk=ssd"}, "STREAMQUEUE_RECLAIM"),
        (GOOD | {"STREAMQUEUE_RECLAIM": "[]"}, "STREAMQUEUE_RECLAIM"),
        (GOOD | {"STREAMQUEUE_RECLAIM": '{"tolerations": {}}'}, "STREAMQUEUE_RECLAIM"),
        (GOOD | {"STREAMQUEUE_RECLAIM": '{"containers": []}'}, "STREAMQUEUE_RECLAIM"),
    ],
)
def test_a_bad_variable_is_named(env: dict[str, str], names: str) -> None:
    with pytest.raises(SettingsError, match=names):
        Settings.from_env(env)
