"""Runs kubectl against the test cluster."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


class KubectlError(Exception):
    """kubectl ended with an error; the message is its own."""


@dataclass(frozen=True)
class Done:
    """How one call ended."""

    stdout: str
    stderr: str
    returncode: int


@dataclass(frozen=True)
class Kubectl:
    """`kubectl("get", "pods")`. Without `-n` among the arguments, `namespace` it is."""

    program: str
    kubeconfig: str
    namespace: str = "default"

    def __call__(self, *args: str, input: str | None = None, check: bool = True, timeout: float = 120) -> Done:
        """`input` goes to its standard input. Raises KubectlError on failure, unless `check` is False."""
        command = [self.program, "--namespace", self.namespace, *args]
        done = subprocess.run(
            command, input=input, capture_output=True, text=True, timeout=timeout, env=self.environment
        )
        if check and done.returncode:
            raise KubectlError(f"kubectl {' '.join(args)}: {done.stderr.strip()}")
        return Done(done.stdout, done.stderr, done.returncode)

    @property
    def environment(self) -> dict[str, str]:
        """For other programs that read a kubeconfig, such as helm."""
        return {**os.environ, "KUBECONFIG": self.kubeconfig}

    def into(self, namespace: str) -> Kubectl:
        """The same, with another namespace."""
        return Kubectl(self.program, self.kubeconfig, namespace)

    def get(self, *args: str) -> Any:
        """The object or list that `kubectl get` finds."""
        return json.loads(self("get", *args, "--output=json").stdout)

    def apply(self, *objects: Mapping[str, Any]) -> Done:
        """Create or change these objects."""
        return self("apply", "--filename=-", input=json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))
