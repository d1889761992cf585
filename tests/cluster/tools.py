"""kind, kubectl and helm: those on the PATH where they are recent enough, else built from their Go modules."""

import re
import shutil
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path

from tests.cluster.settings import KUBERNETES
from tests.cluster.shell import answer

Version = tuple[int, int]


class Tool(StrEnum):
    """The programs that the harness and the tests call."""

    KIND = "kind"
    KUBECTL = "kubectl"
    HELM = "helm"


VERSION_ARGUMENTS: Mapping[Tool, tuple[str, ...]] = {
    Tool.KIND: ("version",),
    Tool.KUBECTL: ("version", "--client"),
    Tool.HELM: ("version", "--short"),
}
OLDEST_KIND: Version = (0, 30)  # the first whose node images carry Kubernetes 1.34
OLDEST_HELM: Version = (3, 14)


def version_in(text: str | None) -> Version | None:
    """Major and minor of the first version in a program's own words; None where there is none."""
    found = re.search(r"v(\d+)\.(\d+)", text or "")
    return (int(found[1]), int(found[2])) if found else None


def recent_enough(tool: Tool, version: Version | None, kubernetes: str = KUBERNETES) -> bool:
    """Kubernetes supports a kubectl one minor version older or newer than the API server, and no more."""
    if version is None:
        return False
    if tool is Tool.KUBECTL:
        server = version_in(kubernetes)
        return server is not None and version[0] == server[0] and abs(version[1] - server[1]) <= 1
    return version >= (OLDEST_KIND if tool is Tool.KIND else OLDEST_HELM)


def on_path() -> dict[Tool, Path]:
    """The tools on the PATH that answer and are recent enough."""
    found: dict[Tool, Path] = {}
    for tool in Tool:
        path = shutil.which(tool)
        if path and recent_enough(tool, version_in(answer([path, *VERSION_ARGUMENTS[tool]]))):
            found[tool] = Path(path)
    return found
