"""The kind node image: the published one where it can be pulled, else one built from sources."""

import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from enum import Enum, auto
from pathlib import Path

from tests.cluster import base_image, docker, go_build
from tests.cluster.keys import key_of
from tests.cluster.settings import COREDNS, ETCD, KIND_MODULE, KUBERNETES, PAUSE, PUBLISHED_NODE, RECIPE
from tests.cluster.shell import HarnessError, answer, output

BUILDER = "streamqueue-node-build"
COMPONENTS = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy", "etcd", "coredns")
CONTAINERD_SECONDS = 60


class Source(Enum):
    """Where the node image comes from."""

    PUBLISHED = auto()
    BUILT = auto()
    TRY_PULL = auto()
    BUILD = auto()


def choose(*, published_here: bool, built_here: bool, pulled: bool | None) -> Source:
    """`pulled` is None before the registry was tried. What is here is used; a pull beats a build of ten minutes."""
    if published_here or pulled:
        return Source.PUBLISHED
    if built_here:
        return Source.BUILT
    return Source.TRY_PULL if pulled is None else Source.BUILD


def choose_here(pulled: bool | None) -> Source:
    """The choice with the images that the engine holds now."""
    return choose(
        published_here=docker.image_id(PUBLISHED_NODE) is not None,
        built_here=docker.image_id(tag()) is not None,
        pulled=pulled,
    )


def key() -> str:
    """Over the Go build, the base image and every file and version that goes into the node."""
    files = [path for path in RECIPE.iterdir() if path != go_build.MODULE]
    texts = [go_build.key(), base_image.tag(), KIND_MODULE, *COMPONENTS, *component_dockerfiles().values()]
    texts += component_dockerfiles()
    return key_of(texts, files, root=RECIPE)


def tag() -> str:
    """The name of the image that is built here."""
    return f"local/kind-node:{KUBERNETES}-{key()}"


def packages_tag() -> str:
    """What the node image starts from: Debian with containerd, systemd and the network tools."""
    return f"local/node-base:{key_of([base_image.tag()], [RECIPE / 'packages.Dockerfile'])}"


def build_packages(report: Callable[[str], None]) -> None:
    """Install the node's Debian packages into an image."""
    with tempfile.TemporaryDirectory() as empty:
        arguments = {"BASE": base_image.tag()}
        docker.build(packages_tag(), RECIPE / "packages.Dockerfile", Path(empty), arguments=arguments, report=report)


def build(report: Callable[[str], None]) -> None:
    """Build the node image from the Go binaries and the packages image, with the control plane's images inside."""
    with tempfile.TemporaryDirectory(prefix="streamqueue-node-") as folder:
        components = build_components(Path(folder) / "components", report)
        context = Path(folder) / "node"
        shutil.copytree(go_build.kind_module_folder() / "images/base/files", context / "files")
        for file in RECIPE.iterdir():
            if file.is_file():
                shutil.copy(file, context)
        shutil.copy(go_build.folder() / go_build.NODE_BINARY, context)
        arguments = {"BASE": packages_tag(), "KUBERNETES_VERSION": KUBERNETES}
        empty = f"{tag()}-empty"
        docker.build(empty, RECIPE / "node.Dockerfile", context, arguments=arguments, report=report)
        fill(empty, components, report)
        docker.remove_images([empty, *components])


def component_dockerfiles() -> dict[str, str]:
    """Tag and Dockerfile of each image that kubeadm asks for; where there is no entry point the manifest names it."""
    end = "COPY bin /usr/local/bin\nENV PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    plain = f"FROM scratch\n{end}"
    images = {
        f"registry.k8s.io/{name}:{KUBERNETES}": plain
        for name in ("kube-apiserver", "kube-controller-manager", "kube-scheduler")
    }
    images[f"registry.k8s.io/etcd:{ETCD}"] = plain
    images[f"registry.k8s.io/coredns/coredns:{COREDNS}"] = f'{plain}\nENTRYPOINT ["/usr/local/bin/coredns"]'
    for version in PAUSE:
        images[f"registry.k8s.io/pause:{version}"] = 'FROM scratch\nCOPY pause /pause\nENTRYPOINT ["/pause"]'
    install = "apt-get update -qq && apt-get install -y -qq --no-install-recommends iptables nftables"
    images[f"registry.k8s.io/kube-proxy:{KUBERNETES}"] = f"FROM {base_image.tag()}\nRUN {install}\n{end}"
    return images


def build_components(context: Path, report: Callable[[str], None]) -> list[str]:
    """One binary under the components' names, in one layer that their images share; and pause."""
    programs = context / "bin"
    programs.mkdir(parents=True)
    shutil.copy(go_build.folder() / go_build.NODE_BINARY, programs)
    shutil.copy(go_build.folder() / go_build.PAUSE_BINARY, context)
    for name in COMPONENTS:
        (programs / name).symlink_to(go_build.NODE_BINARY)
    for image, text in component_dockerfiles().items():
        dockerfile = context / "Dockerfile"
        dockerfile.write_text(text)
        docker.build(image, dockerfile, context, report=report)
    return list(component_dockerfiles())


def fill(empty: str, components: list[str], report: Callable[[str], None]) -> None:
    """Run the node's containerd once, import the control plane's images into it, and commit the node image."""
    answer(["docker", "rm", "--force", BUILDER])
    output(["docker", "run", "--detach", "--privileged", "--name", BUILDER, "--entrypoint", "containerd", empty])
    try:
        wait_for_containerd()
        report("importing the images of the control plane")
        with subprocess.Popen(["docker", "save", *components], stdout=subprocess.PIPE) as archive:
            importer = ["docker", "exec", "-i", BUILDER, "ctr", "-n", "k8s.io", "images", "import", "--no-unpack", "-"]
            done = subprocess.run(importer, stdin=archive.stdout, capture_output=True, text=True)
        if done.returncode or archive.returncode:
            raise HarnessError(f"Importing the images of the control plane failed: {done.stderr.strip()}")
        output(["docker", "stop", BUILDER])
        change = 'ENTRYPOINT ["/usr/local/bin/entrypoint", "/sbin/init"]'
        output(["docker", "commit", "--change", change, BUILDER, tag()])
    finally:
        answer(["docker", "rm", "--force", BUILDER], timeout=60)


def wait_for_containerd() -> None:
    """Return once containerd in the build container answers."""
    deadline = time.monotonic() + CONTAINERD_SECONDS
    while answer(["docker", "exec", BUILDER, "ctr", "version"]) is None:
        if time.monotonic() > deadline:
            raise HarnessError(f"containerd in the container {BUILDER} has not answered for {CONTAINERD_SECONDS} s")
        time.sleep(0.2)
