"""`helm test`: the operator answers, exactly one of its pods leads, and StreamQueues can be listed."""

import json
import os
import re
import socket
import ssl
import sys
import urllib.error
import urllib.request

HOST, NAMESPACES = os.environ["OPERATOR"], os.environ["NAMESPACES"].split(",")
ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
LOOKED = 30.0  # seconds since the leader's last look at its queues


def main() -> None:
    addresses = sorted({row[4][0] for row in look_up(HOST)})
    leaders = 0.0
    for address in addresses:
        get(f"http://{host(address)}:8080/readyz")
        page = get(f"http://{host(address)}:8080/metrics")
        if figure(page, "streamqueue_leader") == 1:
            leaders += 1
            age = figure(page, "streamqueue_loop_age_seconds")
            if age > LOOKED:
                sys.exit(f"the leader at {address} last looked at its queues {age:.0f} s ago: see its log")
    if leaders != 1:
        sys.exit(f"{leaders:.0f} of {len(addresses)} operator pods lead, one should: see the Lease and their logs")
    print(f"{len(addresses)} operator pod(s) ready, one leads")
    for namespace in NAMESPACES:
        print(f"{count(namespace)} StreamQueue(s) in {namespace or 'all namespaces'}")


def look_up(name: str) -> list[tuple]:
    try:
        return socket.getaddrinfo(name, 8080, type=socket.SOCK_STREAM)
    except socket.gaierror:
        sys.exit(f"no operator pod behind the Service {name}: kubectl get pods -l app.kubernetes.io/name=streamqueue")


def host(address: str) -> str:
    return f"[{address}]" if ":" in address else address


def get(url: str, **options) -> str:
    request = urllib.request.Request(url, headers=options.pop("headers", {}))
    try:
        with urllib.request.urlopen(request, timeout=10, **options) as answer:
            return answer.read().decode()
    except urllib.error.HTTPError as error:
        sys.exit(f"{url}: {error.code} {error.read().decode()[:300]}")
    except OSError as error:
        sys.exit(f"{url}: {error}")


def figure(page: str, name: str) -> float:
    found = re.search(rf"^{name} (\S+)$", page, re.MULTILINE)
    if found is None:
        sys.exit(f"/metrics shows no {name}: is this another operator's Service?")
    return float(found[1])


def count(namespace: str) -> int:
    """How many StreamQueues the operator's own account may list."""
    path = f"namespaces/{namespace}/" if namespace else ""
    with open(f"{ACCOUNT}/token") as file:
        headers = {"Authorization": f"Bearer {file.read()}"}
    context = ssl.create_default_context(cafile=f"{ACCOUNT}/ca.crt")
    url = f"https://kubernetes.default.svc/apis/streamqueue.dev/v1alpha1/{path}streamqueues"
    return len(json.loads(get(url, headers=headers, context=context))["items"])


main()
