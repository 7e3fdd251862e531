"""Build the standalone image, start it as its own user, send it a scan, and compare what returns with a replay here.

    python container/image.py        # `make image`

How pip finds packages here, pip finds them in the build: its configuration is a secret of the build, and folders and
files that it names are mounted. None of it is left in the image.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

from engines import Engine, engine

import nadenoise_core as nd
from nadenoise_core.cli.main import program

IMAGE = "nadenoise"
CHAIN, AVERAGES = "sodium_calf", 30
START = 180  # seconds


def main() -> None:
    """Build, try, and say what was found."""
    with tempfile.TemporaryDirectory(prefix="nadenoise-image-") as folder:
        used, configuration, started = engine(), pip_configuration(), time.monotonic()
        secret = Path(folder) / "pip.conf"
        secret.touch(mode=0o600)
        secret.write_text(written(configuration), encoding="utf-8")
        used.build(IMAGE, secret, named_paths(configuration), Path(folder))
        print(f"{IMAGE}: {used.size(IMAGE) / 1e6:.0f} MB, built in {time.monotonic() - started:.0f} s", flush=True)
        print(f"it runs as user {checked_user(used)}", flush=True)
        print(f"a scan came back as {checked_images(used, Path(folder))} images, equal to a replay's to the bit")


def pip_configuration() -> dict[str, str]:
    """What pip goes by here, from its files and the environment."""
    command = [sys.executable, "-m", "pip", "config", "list"]
    found: dict[str, str] = {}
    for line in subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines():
        name, _, value = line.partition("=")
        section, _, option = name.rpartition(".")
        if section in ("global", ":env:") and option != "require-virtualenv":
            found[option] = value.strip("'\"").replace("\\n", " ")
    return found


def written(configuration: dict[str, str]) -> str:
    """A pip.conf; several values of an option stand on a line each."""
    lines = (f"{option} = " + "\n    ".join(value.split()) for option, value in configuration.items())
    return "\n".join(["[global]", *lines, ""])


def named_paths(configuration: dict[str, str]) -> list[Path]:
    """The folders and files of this machine that pip's configuration names."""
    words = {word for value in configuration.values() for word in value.split()}
    paths = {Path(word) for word in words if word.startswith("/")}
    indices = {
        Path(urlsplit(word).path).parent for word in words if word.startswith("file:")
    }  # its files lie beside it
    return sorted(path for path in paths | indices if path.exists())


def checked_user(used: Engine) -> str:
    """Name of the image's user, who is not root."""
    user = used.user(IMAGE)
    if user == "root":
        sys.exit(f"{IMAGE} runs as root")
    return user


def checked_images(used: Engine, work: Path) -> int:
    """How many images came back from the running image; each is that of a replay here."""
    raw = work / "scan.h5"
    nd.simulate(raw, averages=AVERAGES, seed=7)
    replayed = nd.replay(raw, CHAIN, work / "replayed").images
    with used.serving(IMAGE) as port:
        wait_for(port)
        sent = ["send", str(raw), f"--to=127.0.0.1:{port}", f"--chain={CHAIN}", f"--out={work / 'sent'}"]
        program()(sent, standalone_mode=False)
    returned = nd.read_images(work / "sent" / raw.stem)
    for image, expected in zip(returned, replayed, strict=True):
        if image.item.to_bytes() != expected.item.to_bytes():
            sys.exit(f"'{image.facts.description}' of {IMAGE} is not that of a replay here")
    return len(returned)


def wait_for(port: int) -> None:
    """Until a server listens."""
    end = time.monotonic() + START
    while time.monotonic() < end:
        with suppress(OSError):
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        time.sleep(0.2)
    sys.exit(f"{IMAGE} does not listen after {START} s")


if __name__ == "__main__":
    main()
