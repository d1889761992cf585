"""Builds the tools and the node's programs from Go modules at the versions in node/kubernetes/go.mod."""

import json
import os
import shutil
from collections.abc import Callable, Collection
from pathlib import Path

from tests.cluster.keys import key_of
from tests.cluster.settings import CACHE, KIND_MODULE, KUBERNETES, RECIPE
from tests.cluster.shell import HarnessError, output, run
from tests.cluster.tools import Tool

MODULE = RECIPE / "kubernetes"
NODE_BINARY = "kubernetes"
PAUSE_BINARY = "pause"
PACKAGES = {
    NODE_BINARY: ".",
    PAUSE_BINARY: "./pause",
    Tool.KIND: "sigs.k8s.io/kind",
    Tool.HELM: "helm.sh/helm/v3/cmd/helm",
    Tool.KUBECTL: "k8s.io/kubernetes/cmd/kubectl",
}
LINKER = " ".join(
    (
        "-s -w",
        f"-X k8s.io/component-base/version.gitVersion={KUBERNETES}",
        f"-X k8s.io/component-base/version.gitMajor={KUBERNETES.lstrip('v').split('.')[0]}",
        f"-X k8s.io/component-base/version.gitMinor={KUBERNETES.split('.')[1]}",
        f"-X k8s.io/client-go/pkg/version.gitVersion={KUBERNETES}",
    )
)


def key() -> str:
    """Over the Go sources, the module versions and the linker's flags."""
    return key_of([LINKER], [MODULE], root=MODULE)


def folder() -> Path:
    """Where the built programs are."""
    return CACHE / "bin" / key()


def wanted(missing_tools: Collection[Tool], *, node: bool) -> list[str]:
    """The programs to build. kubectl isn't the node's binary, which takes twice as long to start."""
    names: list[str] = [NODE_BINARY, PAUSE_BINARY] if node else []
    return names + [tool for tool in Tool if tool in missing_tools]


def build(names: Collection[str], report: Callable[[str], None]) -> None:
    """Build these programs into `folder()`; raises HarnessError where Go is missing or a build fails."""
    go = find_go()
    if go is None:
        raise HarnessError(
            f"Go 1.24 or newer is needed to build {', '.join(names)} here: install it from https://go.dev/dl,"
            " or put recent kind, kubectl and helm on the PATH and let Docker pull images."
        )
    target = folder()
    partial = target.with_suffix(".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    environment = {
        "CGO_ENABLED": "0",
        # Memory for speed: most compilers are gone before their garbage is in the way.
        "GOGC": os.environ.get("GOGC", "off"),
        "GOMEMLIMIT": os.environ.get("GOMEMLIMIT", "2GiB"),
        "GOFLAGS": "-buildvcs=false",
    }
    command = [go, "build", "-v", "-trimpath", f"-ldflags={LINKER}", "-o", f"{partial}/"]
    run([*command, *(PACKAGES[name] for name in names)], "go-build", env=environment, cwd=MODULE, report=report)
    target.mkdir(parents=True, exist_ok=True)
    for program in partial.iterdir():
        program.replace(target / program.name)
    partial.rmdir()


def find_go() -> str | None:
    """Go on the PATH, or where its own installer puts it."""
    return shutil.which("go", path=os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/local/go/bin")))


def kind_module_folder() -> Path:
    """The folder of the kind module, whose node image files are used."""
    found = json.loads(output([find_go() or "go", "-C", MODULE, "mod", "download", "-json", KIND_MODULE]))
    return Path(found["Dir"])
