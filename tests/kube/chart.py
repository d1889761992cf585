"""Installs the operator by its chart, as users do."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.kube.kubectl import Kubectl

RELEASE = "streamqueue"
NAMESPACE = "streamqueue-system"
CHART = "charts/streamqueue"


class HelmError(Exception):
    """helm ended with an error; the message is its own."""


@dataclass(frozen=True)
class Chart:
    """The release on the test cluster. `values` are `name=value` pairs for `--set`."""

    helm: str
    kubectl: Kubectl
    values: tuple[str, ...] = ("image.tag=dev",)

    def install(self) -> None:
        """Install or upgrade, and wait until the operator is ready."""
        self.upgrade()
        # The tag stays `dev` from build to build: only a new pod runs what was built last.
        self.restart()

    def upgrade(self, chart: Path | str = CHART, *values: str) -> None:
        """Install or upgrade to this chart; returns as soon as helm has written it."""
        settings = [part for value in (*self.values, *values) for part in ("--set", value)]
        self._run("upgrade", "--install", RELEASE, str(chart), "--create-namespace", *settings)

    def roll_back(self) -> None:
        """To the revision before, as soon as helm has written it."""
        self._run("rollback", RELEASE)

    def pods(self) -> set[str]:
        """Names of the operator's pods, those on their way out too."""
        return {pod["metadata"]["name"] for pod in self.operator.get("pods", "--selector", self.selector)["items"]}

    def restart(self) -> None:
        """Replace the operator's pods and wait until the new ones are ready."""
        self.operator("rollout", "restart", f"deployment/{RELEASE}")
        self.wait()

    def wait(self) -> None:
        self.operator("rollout", "status", f"deployment/{RELEASE}", "--timeout=90s")

    def test(self) -> str:
        """What `helm test` says, with the log of its pod; HelmError where it fails."""
        return self._run("test", RELEASE, "--logs", "--timeout", "60s")

    def test_log(self) -> str:
        """Of the test that failed last: its pod stays."""
        done = self.operator("logs", f"pod/{RELEASE}-test", check=False)
        return done.stdout + done.stderr

    def uninstall(self) -> str:
        """What helm says."""
        return self._run("uninstall", RELEASE, "--wait")

    def scale(self, replicas: int) -> None:
        """Run this many operator pods; returns when they are ready, or when the last is gone."""
        self.operator("scale", f"deployment/{RELEASE}", f"--replicas={replicas}")
        if replicas:
            self.wait()
        else:
            self.operator("wait", "--for=delete", "pod", "--selector", self.selector, "--timeout=60s")

    @property
    def operator(self) -> Kubectl:
        """kubectl in the operator's namespace."""
        return self.kubectl.into(NAMESPACE)

    @property
    def selector(self) -> str:
        """The operator's pods."""
        return f"app.kubernetes.io/name=streamqueue,app.kubernetes.io/instance={RELEASE}"

    def log(self, lines: int = -1) -> str:
        """What the operator's pods wrote, their last `lines` lines."""
        done = self.operator("logs", "--selector", self.selector, f"--tail={lines}", "--prefix=false", check=False)
        return done.stdout + done.stderr

    def _run(self, *args: str) -> str:
        command = [self.helm, "--namespace", NAMESPACE, *args]
        done = subprocess.run(command, capture_output=True, text=True, env=self.kubectl.environment, timeout=180)
        if done.returncode:
            raise HelmError(f"helm {args[0]}: {done.stderr.strip()}")
        return done.stdout + done.stderr
