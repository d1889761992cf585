"""The Docker engine: the one that answers, else one started (and on Debian and Ubuntu installed) here."""

import os
import shutil
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path

from tests.cluster import dockerd
from tests.cluster.shell import HarnessError, answer, run

PACKAGES = ("docker.io", "iptables")


class Engine(Enum):
    """How this machine gets a Docker engine."""

    ANSWERS = auto()
    START_SERVICE = auto()
    START_DAEMON = auto()
    INSTALL = auto()
    IMPOSSIBLE = auto()


@dataclass(frozen=True)
class Machine:
    """What the choice depends on."""

    answers: bool
    root: bool
    dockerd: bool
    systemd: bool
    apt: bool


def choose(machine: Machine) -> Engine:
    """An engine that answers is never touched; only root may start or install one."""
    if machine.answers:
        return Engine.ANSWERS
    if not machine.root:
        return Engine.IMPOSSIBLE
    if machine.dockerd:
        return Engine.START_SERVICE if machine.systemd else Engine.START_DAEMON
    return Engine.INSTALL if machine.apt else Engine.IMPOSSIBLE


def answers() -> bool:
    """Whether `docker info` reaches an engine."""
    return answer(["docker", "version", "--format", "{{.Server.Version}}"], timeout=15) is not None


def inspect_machine() -> Machine:
    """The facts of this machine; apt-get counts only on Debian and Ubuntu, whose package names are known here."""
    return Machine(
        answers=answers(),
        root=os.geteuid() == 0,
        dockerd=all(shutil.which(program) for program in ("dockerd", "iptables", "docker")),
        systemd=Path("/run/systemd/system").is_dir(),
        apt=shutil.which("apt-get") is not None and is_debian(Path("/etc/os-release").read_text()),
    )


def is_debian(os_release: str) -> bool:
    """Whether this `os-release` text names Debian, Ubuntu or a distribution that calls itself like them."""
    values = dict(line.split("=", 1) for line in os_release.splitlines() if "=" in line)
    names = f"{values.get('ID', '')} {values.get('ID_LIKE', '')}".replace('"', "").split()
    return bool({"debian", "ubuntu"}.intersection(names))


def ensure() -> None:
    """Return once an engine answers; raise HarnessError with what to install otherwise."""
    choice = choose(inspect_machine())
    if choice is Engine.INSTALL:
        install(*PACKAGES)
        choice = choose(inspect_machine())  # the package starts the service itself where systemd runs
    if choice is Engine.START_SERVICE:
        run(["systemctl", "start", "docker"], "docker")
    elif choice is Engine.START_DAEMON:
        dockerd.start(answers)
    elif choice is not Engine.ANSWERS:
        raise HarnessError(
            "No Docker engine answers: start one or install it (Debian, Ubuntu: `sudo apt-get install docker.io`)"
            " and see to it that `docker info` works for this user."
        )


def install(*packages: str) -> None:
    """Install Debian packages, quietly and without their recommendations."""
    run(["apt-get", "update", "-qq"], "apt")
    run(
        ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages],
        "apt",
        env={"DEBIAN_FRONTEND": "noninteractive"},
    )
