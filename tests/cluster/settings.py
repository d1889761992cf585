"""Names, pinned versions and folders of the harness."""

import os
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
RECIPE = Path(__file__).resolve().parent / "node"

CLUSTER = os.environ.get("STREAMQUEUE_CLUSTER", "streamqueue")
NODE_CONTAINER = f"{CLUSTER}-control-plane"
WORKERS = tuple(
    f"{CLUSTER}-worker{n if n > 1 else ''}" for n in range(1, int(os.environ.get("STREAMQUEUE_WORKERS", "0")) + 1)
)

KUBERNETES = "v1.34.4"  # agrees with node/kubernetes/go.mod
ETCD = "3.6.5-0"  # the tags that kubeadm of this version asks for
COREDNS = "v1.12.1"
PAUSE = ("3.10", "3.10.1")
KIND_MODULE = "sigs.k8s.io/kind@v0.33.0"
PUBLISHED_NODE = "kindest/node:v1.34.3"

PUBLIC_PYTHON = "python:3.11-slim-bookworm"
PYTHON = "3.11"  # of both base images: the dependencies are installed for it outside
DEBIAN = "bookworm"

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "streamqueue" / "cluster"
KUBECONFIG = CACHE / f"{CLUSTER}.kubeconfig"
LOGS = CACHE / "logs"
