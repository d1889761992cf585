"""Which kind, kubectl and helm are used, and which are built."""

import pytest

from tests.cluster.go_build import wanted
from tests.cluster.tools import Tool, recent_enough, version_in


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("kind v0.33.0 go1.26.8 linux/amd64", (0, 33)),
        ("Client Version: v1.32.4-dispatcher\nKustomize Version: v5.5.0", (1, 32)),
        ("v3.19.4+g7cfb6e4", (3, 19)),
        ("v3.19", (3, 19)),
        ("command not found", None),
        (None, None),
    ],
)
def test_the_version_is_read_from_the_programs_own_words(text: str | None, version: tuple[int, int] | None) -> None:
    assert version_in(text) == version


@pytest.mark.parametrize(
    ("tool", "version", "enough"),
    [
        (Tool.KUBECTL, (1, 32), False),
        (Tool.KUBECTL, (1, 33), True),
        (Tool.KUBECTL, (1, 34), True),
        (Tool.KUBECTL, (1, 35), True),
        (Tool.KUBECTL, (1, 36), False),
        (Tool.KUBECTL, (2, 34), False),
        (Tool.KIND, (0, 29), False),
        (Tool.KIND, (0, 30), True),
        (Tool.KIND, (1, 0), True),
        (Tool.HELM, (3, 13), False),
        (Tool.HELM, (4, 0), True),
        (Tool.HELM, None, False),
    ],
)
def test_old_tools_and_a_kubectl_beyond_one_minor_version_are_not_used(
    tool: Tool, version: tuple[int, int] | None, enough: bool
) -> None:
    assert recent_enough(tool, version, kubernetes="v1.34.4") is enough


def test_a_node_to_build_brings_its_own_programs() -> None:
    assert wanted([Tool.KUBECTL, Tool.HELM], node=True) == ["kubernetes", "pause", Tool.KUBECTL, Tool.HELM]


def test_without_a_node_to_build_only_missing_tools_are_built() -> None:
    assert wanted([Tool.KUBECTL], node=False) == [Tool.KUBECTL]
    assert wanted([], node=False) == []
