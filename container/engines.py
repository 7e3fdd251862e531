"""What builds and runs an image: Docker, or buildah where no Docker runs."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, Protocol, cast

ROOT = Path(__file__).parents[1]
TARGET = "standalone"
PORT = "9002"  # of the image's command
DEBIAN, BASE = "bookworm", "nadenoise-python"


class Engine(Protocol):
    """Builds an image and starts it."""

    def build(self, image: str, secret: Path, mounts: Sequence[Path], work: Path) -> None:
        """Build an image; `secret` is a pip.conf, `mounts` the folders and files that it names."""

    def size(self, image: str) -> int:
        """Bytes of an image."""

    def serving(self, image: str) -> AbstractContextManager[int]:
        """The port at which the image answers, started by the command that it names."""

    def user(self, image: str) -> str:
        """Name of the user that the image runs as."""


class Docker:
    """Needs its daemon."""

    def build(self, image: str, secret: Path, mounts: Sequence[Path], work: Path) -> None:
        if mounts:
            sys.exit(f"pip's configuration names {mounts[0]}, which a build by Docker cannot see")
        run("docker", "build", "--target", TARGET, "--secret", f"id=pip.conf,src={secret}", "-t", image, ROOT)

    def size(self, image: str) -> int:
        return int(output_of("docker", "image", "inspect", "--format", "{{.Size}}", image))

    @contextmanager
    def serving(self, image: str) -> Iterator[int]:
        container = output_of("docker", "run", "--detach", "--rm", "--publish", f"127.0.0.1::{PORT}", image)
        try:
            yield int(output_of("docker", "port", container, PORT).rpartition(":")[2])
        finally:
            run("docker", "stop", container)

    def user(self, image: str) -> str:
        return output_of("docker", "run", "--rm", image, "id", "-un")


class Buildah:
    """Needs no daemon and, as root, no user namespaces; what Docker would pull, mmdebstrap makes."""

    def __init__(self) -> None:
        for tool in ("buildah", "mmdebstrap"):
            if shutil.which(tool) is None:
                sys.exit(f"no Docker runs here, and {tool} is not installed: apt-get install buildah mmdebstrap")
        os.environ.setdefault("STORAGE_DRIVER", "vfs")
        os.environ.setdefault("BUILDAH_ISOLATION", "chroot")

    def build(self, image: str, secret: Path, mounts: Sequence[Path], work: Path) -> None:
        if not output_of("buildah", "images", "--quiet", "--filter", f"reference=localhost/{BASE}"):
            self._make_base(work / "base.tar")
        volumes = [f"--volume={path}:{path}:ro" for path in mounts]
        options = ["--format=docker", f"--target={TARGET}", f"--build-arg=PYTHON_IMAGE=localhost/{BASE}"]
        run("buildah", "build", *options, f"--secret=id=pip.conf,src={secret}", *volumes, "--tag", image, ROOT)

    def _make_base(self, archive: Path) -> None:
        """Debian's essential packages and Python, without pages to read."""
        left_out = [f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in ("doc", "man", "locale")]
        run(
            "mmdebstrap",
            "--quiet",
            "--variant=essential",
            "--include=libstdc++6,passwd,python3-venv",
            *left_out,
            DEBIAN,
            archive,
        )
        container = output_of("buildah", "from", "scratch")
        run("buildah", "add", "--quiet", container, archive, "/")
        run("buildah", "commit", "--quiet", "--format=docker", "--rm", container, BASE)

    def size(self, image: str) -> int:
        manifest = json.loads(self._described(image)["Manifest"])
        return sum(layer["size"] for layer in manifest["layers"])

    @contextmanager
    def serving(self, image: str) -> Iterator[int]:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]  # the container is on this machine's network
        words = [str(port) if word == PORT else word for word in self._described(image)["OCIv1"]["config"]["Cmd"]]
        with self._container(image) as container, TemporaryFile() as log:
            server = subprocess.Popen(["buildah", "run", container, "--", *words], start_new_session=True, stderr=log)
            try:
                yield port
            except BaseException:
                log.seek(0)
                sys.stderr.write(log.read().decode())
                raise
            finally:
                os.killpg(server.pid, signal.SIGTERM)
                server.wait(60)

    def user(self, image: str) -> str:
        with self._container(image) as container:
            return output_of("buildah", "run", container, "--", "id", "-un")

    def _described(self, image: str) -> dict[str, Any]:
        return cast(dict[str, Any], json.loads(output_of("buildah", "inspect", "--type=image", image)))

    @contextmanager
    def _container(self, image: str) -> Iterator[str]:
        container = output_of("buildah", "from", "--pull-never", image)
        try:
            yield container
        finally:
            run("buildah", "rm", container)


def engine() -> Engine:
    """Docker if its daemon answers."""
    docker = shutil.which("docker")
    answered = docker and subprocess.run([docker, "info"], capture_output=True, check=False).returncode == 0
    return Docker() if answered else Buildah()


def run(*command: object) -> None:
    """Run a command; its output is shown."""
    subprocess.run([str(word) for word in command], check=True, stdout=sys.stderr)


def output_of(*command: object) -> str:
    """What a command prints."""
    words = [str(word) for word in command]
    return subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
