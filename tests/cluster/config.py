"""kind's configuration of the cluster: one node, and as many beside it as settings.WORKERS has.

Its API server writes an audit log of the operator's calls, and its etcd doesn't wait for the disk.
"""

from pathlib import Path

from tests.cluster.keys import key_of
from tests.cluster.settings import CACHE, WORKERS

POLICY = Path(__file__).with_name("audit-policy.yaml")
AUDIT_FOLDER = "/var/log/kubernetes"  # on the node
AUDIT_LOG = f"{AUDIT_FOLDER}/audit.log"

_IN_NODE = "/etc/streamqueue"
_CONFIG = """\
kind: Cluster
apiVersion: kind.x-k8s.io/v1alpha4
nodes:
  - role: control-plane
    extraMounts:
      - {{hostPath: {folder}, containerPath: {node}, readOnly: true}}
{workers}kubeadmConfigPatches:
  - |
    kind: ClusterConfiguration
    apiServer:
      extraArgs:
        audit-policy-file: {node}/{policy}
        audit-log-path: {log}
        audit-log-maxsize: "200"
        audit-log-maxbackup: "1"
      extraVolumes:
        - {{name: audit-policy, hostPath: {node}, mountPath: {node}, readOnly: true, pathType: Directory}}
        - {{name: audit-log, hostPath: {logs}, mountPath: {logs}, pathType: DirectoryOrCreate}}
    # What a test cluster loses in a power cut is made anew; waiting for the disk took a third of its time.
    etcd:
      local:
        extraArgs:
          unsafe-no-fsync: "true"
"""


def folder() -> Path:
    """What the node mounts. Its name tells a cluster of this configuration from one of another."""
    return CACHE / "config" / key_of([_CONFIG, _workers()], [POLICY])


def write() -> Path:
    """The configuration's file, beside what the node mounts."""
    mounted = folder()
    mounted.mkdir(parents=True, exist_ok=True)
    (mounted / POLICY.name).write_bytes(POLICY.read_bytes())
    file = mounted / "kind.yaml"
    text = _CONFIG.format(
        folder=mounted, node=_IN_NODE, policy=POLICY.name, log=AUDIT_LOG, logs=AUDIT_FOLDER, workers=_workers()
    )
    file.write_text(text)
    return file


def _workers() -> str:
    return "  - role: worker\n" * len(WORKERS)
