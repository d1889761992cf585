"""The pods' network between several nodes. Published node images have a DaemonSet for it; ours knows one node."""

from tests.cluster.settings import NODE_CONTAINER, WORKERS
from tests.cluster.shell import answer, output

_CONFIG = "/etc/cni/net.d/10-bridge.conflist"


def connect() -> None:
    """Give each node a range of its own, and a route to those of the others; again after a restart of Docker."""
    nodes = (NODE_CONTAINER, *WORKERS)
    if not WORKERS or answer(["docker", "exec", NODE_CONTAINER, "test", "-e", _CONFIG]) is None:
        return
    ask = ["docker", "container", "inspect", "--format={{.NetworkSettings.Networks.kind.IPAddress}}"]
    addresses = output([*ask, *nodes]).split()
    for number, node in enumerate(nodes):
        on_node = ["docker", "exec", node]
        output([*on_node, "sed", "-i", rf"s|10\.244\.[0-9]*\.0/24|{_range(number)}|", _CONFIG])
        for other, address in enumerate(addresses):
            if other != number:
                output([*on_node, "ip", "route", "replace", _range(other), "via", address])


def _range(number: int) -> str:
    return f"10.244.{number}.0/24"
