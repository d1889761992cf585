"""What others need to use the cluster; `up` writes it down, demo and tests read it."""

import json
import os
import shlex
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.cluster.settings import CACHE, CLUSTER
from tests.cluster.shell import HarnessError

FILE = CACHE / f"{CLUSTER}.json"


@dataclass(frozen=True)
class Handles:
    """Paths of the programs, the kubeconfig, and the name of the node image."""

    kind: str
    kubectl: str
    helm: str
    kubeconfig: str
    node_image: str

    def save(self) -> None:
        """Write them to the cache folder."""
        FILE.parent.mkdir(parents=True, exist_ok=True)
        FILE.write_text(json.dumps(asdict(self), indent=2) + "\n")

    def environment(self) -> dict[str, str]:
        """Variables for a shell or a subprocess; kind, kubectl and helm come first on its PATH."""
        folders = dict.fromkeys(str(Path(program).parent) for program in (self.kind, self.kubectl, self.helm))
        return {
            "KUBECONFIG": self.kubeconfig,
            "KIND": self.kind,
            "KUBECTL": self.kubectl,
            "HELM": self.helm,
            "PATH": os.pathsep.join([*folders, os.environ.get("PATH", os.defpath)]),
        }

    def exports(self) -> str:
        """Lines for `eval` in a POSIX shell."""
        return "\n".join(f"export {name}={shlex.quote(value)}" for name, value in self.environment().items())

    def pytest_arguments(self) -> list[str]:
        """pytest-kind's options: the existing cluster is used, and kept."""
        return [
            f"--cluster-name={CLUSTER}",
            "--keep-cluster",
            f"--kubeconfig={self.kubeconfig}",
            f"--kind-bin={self.kind}",
            f"--kind-kubectl-bin={self.kubectl}",
            f"--kind-image={self.node_image}",
        ]


def load() -> Handles:
    """The handles of the last `up`; raises HarnessError where there was none."""
    if not FILE.exists():
        raise HarnessError("There is no cluster yet: run `make cluster-up` first.")
    return Handles(**json.loads(FILE.read_text()))
