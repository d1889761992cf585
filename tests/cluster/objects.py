"""Manifests of other projects, on their way to the cluster."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from tests.cluster.handles import Handles
from tests.cluster.shell import output

Body = dict[str, Any]


def kustomized(handles: Handles, path: Path) -> Iterator[Body]:
    """What `kubectl kustomize` makes of this folder."""
    return parsed(kubectl(handles, "kustomize", str(path)))


def parsed(manifests: str) -> Iterator[Body]:
    """The objects of a file of YAML documents, empty ones left out."""
    yield from filter(None, yaml.safe_load_all(manifests))


def with_image(body: Body, tag: str, program: str) -> Body:
    """A Deployment of one container, which runs this program of an image that was loaded. Changes `body`."""
    (container,) = body["spec"]["template"]["spec"]["containers"]
    container |= {"image": tag, "imagePullPolicy": "Never", "command": [f"/{program}"]}
    return body


def apply(handles: Handles, bodies: Sequence[Body]) -> None:
    """Server-side, over whatever is there."""
    kubectl(handles, "apply", "--server-side", "--force-conflicts", "--filename=-", text=_listed(bodies))


def delete(handles: Handles, bodies: Sequence[Body]) -> None:
    """Delete those that are there, and return once they are gone."""
    kubectl(handles, "delete", "--ignore-not-found", "--filename=-", "--timeout=180s", text=_listed(bodies))


def await_rollout(handles: Handles, namespace: str, deployment: str) -> None:
    """Return once the Deployment's pods are ready; raises HarnessError after three minutes."""
    kubectl(handles, "rollout", "status", f"deployment/{deployment}", f"--namespace={namespace}", "--timeout=180s")


def kubectl(handles: Handles, *args: str, text: str | None = None) -> str:
    """What kubectl prints; raises HarnessError."""
    return output([handles.kubectl, "--kubeconfig", handles.kubeconfig, *args], text)


def _listed(bodies: Sequence[Body]) -> str:
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": list(bodies)})
