"""A process that has of Python's library what Windows has of it: a program for tests, run with a raw file and a folder.

It imports every module, replays the raw file as the command line does, and prints how many modules it imported. What
packages that we stand on do at import is theirs: they are imported before functions are taken away, but after modules
are.
"""

from __future__ import annotations

import importlib
import os
import pkgutil
import signal
import socket
import sys
from types import ModuleType

MODULES = ("crypt", "fcntl", "grp", "nis", "pty", "pwd", "readline", "resource", "spwd", "syslog", "termios", "tty")
FUNCTIONS: dict[ModuleType, str] = {
    os: "chown fchmod fork forkpty getegid geteuid getgid getloadavg getuid killpg mkfifo nice pread pwrite "
    "sched_getaffinity sched_setaffinity sendfile setpgid setpriority setsid setuid statvfs uname wait wait3 wait4 "
    "O_CLOEXEC O_DIRECTORY O_NOFOLLOW O_NONBLOCK WNOHANG register_at_fork",
    signal: "SIGALRM SIGCHLD SIGHUP SIGKILL SIGPIPE SIGQUIT SIGSTOP SIGUSR1 SIGUSR2 alarm pause pthread_sigmask "
    "setitimer sigwait set_wakeup_fd",
    socket: "AF_UNIX socketpair SO_REUSEPORT MSG_DONTWAIT send_fds recv_fds",
}
DEPENDENCIES = (
    "concurrent.futures.process", "dicomweb_client", "filelock", "finufft", "gadgetron.external", "h5py", "highdicom",
    "ismrmrd", "jinja2", "lxml.etree", "matplotlib.figure", "multiprocessing.connection", "multiprocessing.spawn",
    "nibabel", "nrrd", "pydicom", "pynetdicom", "requests", "rich.progress", "scipy.optimize", "skimage.metrics",
    "subprocess", "tempfile", "torch", "torch.distributed", "torch.multiprocessing", "typer",
)  # fmt: skip


def main(raw: str, out: str) -> None:
    """Take away what Windows has not, import all of ours, replay."""
    sys.modules.update(dict.fromkeys(MODULES))
    for name in DEPENDENCIES:
        importlib.import_module(name)
    for module, names in FUNCTIONS.items():
        for name in names.split():
            if hasattr(module, name):
                delattr(module, name)
    ours = [
        found.name
        for room in ("nadenoise_core", "gadgets", "training")
        for found in pkgutil.walk_packages(importlib.import_module(room).__path__, f"{room}.")
        if not found.name.endswith("__main__")
    ]
    for name in ours:
        importlib.import_module(name)
    from nadenoise_core.cli.main import program

    program()(["replay", raw, "--out", out], standalone_mode=False)
    print(len(ours), "modules")


if __name__ == "__main__":
    main(*sys.argv[1:])
