"""A first manifest."""

from __future__ import annotations

import click
import yaml

from streamqueue.api.errors import SpecError
from streamqueue.api.parse import check_name, parse_spec
from streamqueue.cli.errors import BadInput
from streamqueue.cli.options import a_namespace
from streamqueue.manifests.labels import API_VERSION, KIND


@click.command(short_help="Print a first manifest for queue NAME.")
@click.argument("name")
@click.option("--image", required=True, metavar="IMAGE", help="The handler's image.")
@click.option("--stream", metavar="NAME", help="The stream; by default it is called as the queue.")
@click.option("--group", metavar="NAME", default="workers", show_default=True, help="The consumer group.")
@click.option("--redis-url", metavar="URL", help="A URL without a password.")
@click.option("--redis-secret", metavar="NAME/KEY", help="The Secret and its key that hold the URL.")
@click.option("--max-replicas", type=int, default=10, show_default=True, help="At most so many workers.")
@click.option(
    "--target-wait", metavar="DURATION", default="30s", show_default=True, help="95 % of tasks start within this time."
)
@click.option("-n", "--namespace", metavar="NAME", callback=a_namespace, help="Namespace to write into the manifest.")
def init(
    name: str,
    image: str,
    stream: str | None,
    group: str,
    redis_url: str | None,
    redis_secret: str | None,
    max_replicas: int,
    target_wait: str,
    namespace: str | None,
) -> None:
    """Print a first manifest for queue NAME, ready for kubectl apply -f -."""
    if stream == "":
        raise BadInput("--stream is empty: leave it out for the queue's own name")
    spec = {
        "redis": _redis(redis_url, redis_secret),
        "stream": stream or name,
        "group": group,
        "handler": {"image": image},
        "scaling": {"maxReplicas": max_replicas, "targetWait": target_wait},
    }
    try:
        check_name(name)
        parse_spec(spec)
    except SpecError as error:
        raise BadInput(str(error)) from None
    metadata = {"name": name} | ({"namespace": namespace} if namespace else {})
    body = {"apiVersion": API_VERSION, "kind": KIND, "metadata": metadata, "spec": spec}
    click.echo(yaml.safe_dump(body, sort_keys=False, allow_unicode=True), nl=False)


def _redis(url: str | None, secret: str | None) -> dict[str, object]:
    if (url is None) == (secret is None):
        raise BadInput("give one of --redis-url URL and --redis-secret NAME/KEY")
    if url is not None:
        return {"url": url}
    name, slash, key = (secret or "").partition("/")
    if not (name and slash and key):
        raise BadInput("--redis-secret must be NAME/KEY, as in redis/url")
    return {"secretRef": {"name": name, "key": key}}
