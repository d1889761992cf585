"""Removes what the harness made, and nothing that others did."""

from tests.cluster import docker, dockerd, engine, keda, kind, node_autoscaler, project_images
from tests.cluster.handles import FILE, load
from tests.cluster.settings import CLUSTER
from tests.cluster.shell import answer


def down() -> list[str]:
    """Delete cluster and project images and stop the harness's own dockerd; returns what was done, a line each."""
    if not engine.answers():
        return ["No Docker engine answers: there is nothing to remove."]
    done: list[str] = []
    if kind.find_node() is not None:
        kind.delete(load())
        done.append(f"Deleted the cluster {CLUSTER}.")
    FILE.unlink(missing_ok=True)
    docker.remove_images((*project_images.TAGS, node_autoscaler.BUNDLE.tag, keda.BUNDLE.tag))
    done.append("Removed the project's images. The node image stays: the next cluster takes seconds.")
    if dockerd.running():
        others = answer(["docker", "ps", "--format", "{{.Names}}"])
        if others:
            done.append(f"dockerd stays: other containers run on it ({', '.join(others.split())}).")
        else:
            dockerd.stop()
            done.append("Stopped dockerd, which this harness had started.")
    return done
