"""Debian packages of any suite, without touching the machine's own package state.

The archive's address is the one this machine's apt uses; signatures are checked by apt, hashes again by the lock file.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from tests.redis.servers.cache import cache_folder

KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
# Experimental holds only what differs from unstable.
BASE = {"experimental": "sid"}


class AptError(Exception):
    """apt could not do it; the text is apt's own last lines."""


def mirror() -> str:
    """The address of the Debian archive in this machine's apt configuration."""
    out = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages", "Origin: Debian"],
        capture_output=True,
        text=True,
        check=False,
    ).stdout.split()
    plain = [uri for uri in out if uri.rstrip("/").endswith("/debian")]
    if not plain:
        plain = re.findall(r"https?://\S+/debian/?(?=\s|$)", _sources(), re.MULTILINE)
    if not plain:
        raise AptError("no Debian archive in this machine's apt sources: add one, then try again")
    return plain[0].rstrip("/")


class Suite:
    """A Debian suite (and the one it builds upon) with package lists of its own, and nothing installed."""

    def __init__(self, name: str) -> None:
        self.name = name
        suites = dict.fromkeys((name, BASE.get(name, name)))
        self._root = cache_folder() / "apt" / name
        for folder in ("lists/partial", "archives/partial"):
            (self._root / folder).mkdir(parents=True, exist_ok=True)
        (self._root / "status").touch()
        (self._root / "sources.list").write_text(
            "".join(f"deb [arch=amd64 signed-by={KEYRING}] {mirror()} {suite} main\n" for suite in suites)
        )

    def update(self) -> None:
        self.run("apt-get", "update", "-q")

    def closure(self, package: str) -> list[tuple[str, str, str]]:
        """(package, version, sha256) of `package` and all it depends on, as in an empty system."""
        out = self.run(
            "apt-get", "install", "--print-uris", "-qq", "-y", "--no-install-recommends", f"{package}/{self.name}"
        )
        found = re.findall(r"^'[^']+' (\S+?)_(\S+?)_\S+?\.deb \d+ SHA256:([0-9a-f]{64})$", out, re.MULTILINE)
        return [(name, version.replace("%3a", ":"), digest) for name, version, digest in found]

    def download(self, packages: list[str], folder: Path) -> None:
        """Each of `packages` is a name or name=version; the archives land in `folder`."""
        self.run("apt-get", "download", "-q", *packages, cwd=folder)

    def run(self, *command: str, cwd: Path | None = None) -> str:
        options = {
            "Dir::State": self._root,
            "Dir::State::lists": self._root / "lists",
            "Dir::State::status": self._root / "status",
            "Dir::Cache": self._root,
            "Dir::Etc::SourceList": self._root / "sources.list",
            "Dir::Etc::SourceParts": "/nonexistent",
            "Acquire::Languages": "none",
            "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled": "false",
            "APT::Sandbox::User": "root",
            "Acquire::ForceHash": "SHA256",
        }
        flags = [part for key, value in options.items() for part in ("-o", f"{key}={value}")]
        done = subprocess.run([command[0], *flags, *command[1:]], cwd=cwd, capture_output=True, text=True, check=False)
        if done.returncode:
            raise AptError(" ".join(done.stderr.split("\n")[-3:]).strip() or f"{command[0]} failed")
        return done.stdout


def _sources() -> str:
    files = [Path("/etc/apt/sources.list"), *Path("/etc/apt/sources.list.d").glob("*")]
    return "\n".join(file.read_text() for file in files if file.is_file())
