"""What is there and what is missing, as a table."""

from rich.table import Table

from tests.cluster import docker, kind, project_images
from tests.cluster.handles import Handles, load
from tests.cluster.settings import CLUSTER
from tests.cluster.shell import HarnessError, answer


def status() -> Table:
    """One row for the engine, the cluster, the node image, each tool and each image of the project."""
    table = Table("part", "state")
    engine = answer(["docker", "version", "--format", "{{.Server.Version}}"])
    table.add_row("Docker engine", engine or "does not answer")
    handles = last_handles()
    if handles is None:
        table.add_row(f"cluster {CLUSTER}", "not brought up yet")
        return table
    version = kind.server_version(handles)
    table.add_row(f"cluster {CLUSTER}", f"Kubernetes {version}" if version else "does not answer")
    table.add_row("node image", handles.node_image)
    for program in (handles.kind, handles.kubectl, handles.helm):
        table.add_row(program.rpartition("/")[2], program)
    table.add_row("kubeconfig", handles.kubeconfig)
    for tag in project_images.TAGS:
        built = docker.image_id(tag)
        loaded = built is not None and kind.loaded_id(tag) == built
        table.add_row(tag, "in the cluster" if loaded else "built, not in the cluster" if built else "not built")
    return table


def last_handles() -> Handles | None:
    """The handles of the last `up`, None where there was none."""
    try:
        return load()
    except HarnessError:
        return None
