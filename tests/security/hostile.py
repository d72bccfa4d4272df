"""A child process that asks hostile platforms: tells what came of it, and its peak memory.

Reads a JSON object of names, each with a URL and what to ask for; writes one of what came of each.
"""

import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import mkdtemp

from lms_archive import ArchiveJob, Client, LmsArchiveError, RetryPolicy, StaticToken
from lms_archive.wire.download import download

ASK: dict[str, Callable[[Client], object]] = {
    "list": lambda client: list(client.courses.list()),
    "jobs": lambda client: list(client.background_jobs.list()),
    "request": lambda client: client.request("GET", "/x"),
    "write": lambda client: client.request("PUT", "/x", json={"a": 1}),
    "swagger": lambda client: client.verify_contract(["list_users"]).judgements[0],
    "certificate": lambda client: download(client.wire, "/c.pdf", "certificate"),
    "plan": lambda client: (
        ArchiveJob.for_course(1, mode="unenroll", reset_tracking=False)
        .users([1, 2])
        .plan(client)
        .apply(client, ledger=Path(mkdtemp()) / "ledger.sqlite")
    ),
}


def peak(*, forget: bool = False) -> float:
    """The most memory this process ever had, in MiB; on Linux the most since it was forgotten."""
    status = Path("/proc/self/status")
    if not status.exists():
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most / (1024 if sys.platform != "darwin" else 2**20)
    if forget:
        Path("/proc/self/clear_refs").write_text("5")
    lines = status.read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("VmHWM"))) / 1024


def ask(url: str, what: str, base: float) -> dict[str, object]:
    """Ask one platform, and tell; the memory is told above the `base`."""
    client = Client(
        url,
        StaticToken("t" * 40),
        calls_per_hour=None,
        timeout=(2, 2),
        retry=RetryPolicy(attempts=1, settle=0),
    )
    peak(forget=True)
    begun, error = time.monotonic(), ""
    try:
        ASK[what](client)
    except LmsArchiveError as caught:
        error = f"{type(caught).__name__}: {caught}"
    return {"error": error, "MiB": peak() - base, "seconds": time.monotonic() - begun}


if __name__ == "__main__":
    asked, before = json.load(sys.stdin), peak()
    json.dump({name: ask(url, what, before) for name, (url, what) in asked.items()}, sys.stdout)
