"""A real node autoscaler for the tests: Karpenter, whose nodes KWOK plays. Both are built from their Go modules.

A node of KWOK's is an object that is kept Ready; a pod on it is kept Running, and nothing runs.
"""

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import yaml

from tests.cluster import docker, kind
from tests.cluster.go_build import find_go
from tests.cluster.handles import Handles
from tests.cluster.keys import key_of
from tests.cluster.settings import CACHE, KUBERNETES
from tests.cluster.shell import HarnessError, output, run

KARPENTER = "sigs.k8s.io/karpenter@v1.14.1"
KWOK = "sigs.k8s.io/kwok@v0.7.0"
PROGRAMS = {"karpenter": ("kwok", KARPENTER), "kwok": ("cmd/kwok", KWOK)}
TAG = "streamqueue/node-autoscaler:dev"
DOCKERFILE = Path(__file__).parent / "images" / "node-autoscaler.Dockerfile"
NAMESPACE = "karpenter"
LINKER = "-s -w"
# What the chart leaves empty, and the program then refuses.
GATES = ("staticCapacity", "capacityBuffer", "nodeOverlay")


def folder() -> Path:
    """Where the built programs are."""
    return CACHE / "bin" / f"node-autoscaler-{key_of([KARPENTER, KWOK, LINKER])}"


def build(report: Callable[[str], None]) -> None:
    """Build what isn't there, programs and image: minutes the first time. Raises HarnessError."""
    missing = [name for name in PROGRAMS if not (folder() / name).exists()]
    for name in missing:
        report(name)
        _build_program(name, report)
    if missing or docker.image_id(TAG) is None:
        docker.build(TAG, DOCKERFILE, folder(), report=report)


def _build_program(name: str, report: Callable[[str], None]) -> None:
    """By the versions of the module's own go.mod: the two don't compile against each other's Kubernetes."""
    go = find_go()
    if go is None:
        raise HarnessError(f"Go 1.26 or newer is needed to build {name}: install it from https://go.dev/dl")
    package, module = PROGRAMS[name]
    path, _, version = module.partition("@")
    with tempfile.TemporaryDirectory(prefix="streamqueue-go-") as target:
        environment = {
            "CGO_ENABLED": "0",
            "GOBIN": target,
            "GOFLAGS": "-buildvcs=false",
            "GOGC": os.environ.get("GOGC", "400"),
        }
        command = ["nice", go, "install", "-v", "-trimpath", f"-ldflags={LINKER}", f"{path}/{package}@{version}"]
        run(command, "go-build", env=environment, cwd=Path(target), report=report)
        folder().mkdir(parents=True, exist_ok=True)
        (built,) = Path(target).iterdir()
        partial = folder() / f"{name}.partial"
        shutil.move(built, partial)
        partial.replace(folder() / name)


def install(handles: Handles, report: Callable[[str], None]) -> None:
    """Both on the cluster, and ready. The chart, CRDs and manifests are the modules' own."""
    kind.load(handles, (TAG,))
    kwok, karpenter = _sources(KWOK), _sources(KARPENTER)
    report("KWOK")
    _apply(handles, [_with_image(body) for body in _kustomized(handles, kwok / "kustomize/kwok")])
    _kubectl(handles, "wait", "--for=condition=Established", "crd/stages.kwok.x-k8s.io", "--timeout=60s")
    _apply(handles, list(_kustomized(handles, kwok / "kustomize/stage/fast")))
    report("Karpenter")
    _kubectl(handles, "apply", "--server-side", f"--filename={karpenter / 'kwok/apis/crds'}")
    settings = [f"settings.featureGates.{gate}=false" for gate in GATES]
    image, _, tag = TAG.partition(":")
    settings += [f"controller.image.repository={image}", f"controller.image.tag={tag}", "replicas=1"]
    options = [word for setting in settings for word in ("--set", setting)]
    helm = [handles.helm, "--kubeconfig", handles.kubeconfig, "--namespace", NAMESPACE]
    chart = str(karpenter / "kwok/charts")
    asked = ["--include-crds", "--api-versions=policy/v1", f"--kube-version={KUBERNETES}"]
    rendered = output([*helm, "template", "karpenter", chart, *asked, *options])
    _apply(handles, [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}])
    _apply(handles, [_with_image(body) for body in _parsed(rendered)])
    for namespace, deployment in (("kube-system", "kwok-controller"), (NAMESPACE, "karpenter")):
        _kubectl(handles, "rollout", "status", f"deployment/{deployment}", f"--namespace={namespace}", "--timeout=180s")


def uninstall(handles: Handles) -> None:
    """Stop both; their CRDs stay. Nodes must be gone before: nobody would take their finalizers off afterwards."""
    for namespace, deployment in ((NAMESPACE, "karpenter"), ("kube-system", "kwok-controller")):
        _kubectl(handles, "delete", f"deployment/{deployment}", f"--namespace={namespace}", "--ignore-not-found")


def _with_image(body: dict[str, Any]) -> dict[str, Any]:
    """A Deployment with our image, which has no entry point."""
    if body["kind"] == "Deployment":
        (container,) = body["spec"]["template"]["spec"]["containers"]
        program = "/karpenter" if container["name"] == "controller" else "/kwok"
        container |= {"image": TAG, "imagePullPolicy": "Never", "command": [program]}
    return body


def _sources(module: str) -> Path:
    found = json.loads(output([find_go() or "go", "mod", "download", "-json", module]))
    return Path(found["Dir"])


def _kustomized(handles: Handles, path: Path) -> Iterator[dict[str, Any]]:
    return _parsed(_kubectl(handles, "kustomize", str(path)))


def _parsed(manifests: str) -> Iterator[dict[str, Any]]:
    yield from filter(None, yaml.safe_load_all(manifests))


def _apply(handles: Handles, bodies: list[dict[str, Any]]) -> None:
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": bodies})
    _kubectl(handles, "apply", "--server-side", "--force-conflicts", "--filename=-", text=text)


def _kubectl(handles: Handles, *args: str, text: str | None = None) -> str:
    return output([handles.kubectl, "--kubeconfig", handles.kubeconfig, *args], text)
