"""Importing what every script imports, against requests: CPU time, in new processes by turns."""

import os
import subprocess
import sys
from collections.abc import Callable

from .common import ROOT, alternating, figure

_CODE = "import time; t = time.process_time(); {0}; print(time.process_time() - t)"
_SIDES = {
    "requests": "import requests",
    "the four dependencies": "import requests, attrs, cattrs, backoff",
    "lms_archive": "from lms_archive import ArchiveJob, Client",
}


def _seconds(names: str) -> Callable[[], float]:
    command = [sys.executable, "-c", _CODE.format(names)]
    env = {**os.environ, "PYTHONDONTWRITEBYTECODE": ""}  # as installed: with bytecode
    return lambda: float(subprocess.check_output(command, cwd=ROOT, env=env, text=True))  # noqa: S603


def main() -> None:
    """Import by turns."""
    took = alternating({name: _seconds(names) for name, names in _SIDES.items()}, rounds=21)
    for name, seconds in took.items():
        figure(f"{name}: CPU time", seconds * 1000, "ms")
    for name, goal in (("the four dependencies", ""), ("lms_archive", "<= 2.0")):
        figure(f"{name}, of import requests", took[name] / took["requests"], goal=goal)
