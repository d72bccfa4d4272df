"""Scripted faults: what fails, at which call, and how often. Nothing is random."""

from __future__ import annotations

import threading
from collections.abc import Collection
from datetime import datetime
from typing import Any

from attrs import define, frozen

KINDS: dict[str, dict[str, Any]] = {
    "429": {"retry_after": None},
    "500": {"retry_after": None},
    "503": {"retry_after": None},
    "html": {"status": 200},
    "login_page": {"done": False},
    "redirect": {"location": ..., "status": 302},
    "status": {"status": ..., "body": "", "headers": None},
    "cut_before": {},
    "cut_after": {},
    "error_after": {"status": 500},
    "slow": {"seconds": ...},
    "expired_token": {},
    "job_late": {"seconds": ...},
    "job_aborted": {"fraction": 0.5},
    "job_partial": {"errors": None, "every": None},
    "archived_lag": {"seconds": ...},
}
"""The details of each kind and their defaults; `...` marks a required detail."""
_INSTEAD = frozenset({"429", "500", "503", "html", "redirect", "status", "cut_before"})
_OF_WORK = frozenset({"job_late", "job_aborted", "job_partial", "archived_lag"})
"""Faults in the work that an archive call starts, not in its answer."""


@frozen
class Fault:
    """A fault that occurred: its kind and details, and the call."""

    kind: str
    details: dict[str, Any]
    operation: str | None
    method: str
    at: datetime

    @property
    def prevents_work(self) -> bool:
        """Whether the call is not carried out."""
        return self.kind in _INSTEAD or self.details.get("done") is False

    @property
    def replaces_answer(self) -> bool:
        """Whether the fault answers, whatever the call did."""
        return self.prevents_work or self.kind in ("error_after", "login_page")

    @property
    def cuts_connection(self) -> bool:
        """Whether no answer comes at all."""
        return self.kind in ("cut_before", "cut_after")


@define
class _Script:
    kind: str
    operation: str | None
    method: str | None
    times: int
    after: int
    details: dict[str, Any]

    def matches(self, operation: str | None, method: str) -> bool:
        return self.operation in (None, operation) and self.method in (None, method)


class Faults:
    """The faults of a sandbox (`sandbox.faults`): scripted faults, and the log of past ones."""

    def __init__(self, operations: Collection[str]) -> None:
        self._operations = operations
        self._lock = threading.Lock()
        self._scripts: list[_Script] = []
        self._log: list[Fault] = []

    def add(
        self,
        kind: str,
        *,
        operation: str | None = None,
        method: str | None = None,
        times: int = 1,
        after: int = 0,
        **details: Any,
    ) -> None:
        """Make the next matching calls fail.

        Instead of the work: `429`, `500`, `503` (retry_after: seconds, an HTTP date, or None),
        `html` (a proxy's page; status), `login_page` (200 with the login page, which means "not
        permitted"; with `done=True` the work is still done), `redirect` (location, status),
        `status` (status, body: text or a JSON value, headers), `cut_before`. After the work:
        `cut_after`, `error_after` (status), `slow` (seconds, on the sandbox's clock).
        `expired_token` revokes the token of the call, which is answered with 401. In the work that
        an archive call starts: `job_late` (seconds; the job starts late and is not listed before,
        but can be read by its hash), `job_aborted` (fraction of its rows done before),
        `job_partial` (errors: the first n rows, or every: each n-th row, stay active and count as
        errors), `archived_lag` (seconds until the archived list shows the records).

        A call has at most one fault in its answer, the one added first; faults of jobs add up.

        Args:
            kind: one of the kinds above.
            operation: only calls of this operation, as in the contract table (`list_courses`,
                `token`), or `swagger`, `microservices`, `certificate` (its download).
            method: only calls with this HTTP method.
            times: how many calls fail.
            after: how many matching calls succeed first; for a fault of jobs, only calls that
                start a job are counted.
            **details: the details of the kind.

        Raises:
            ValueError: the kind or operation is unknown, or the details do not fit the kind.
        """
        if operation is not None and operation not in self._operations:
            raise ValueError(f"unknown operation {operation!r}: {', '.join(self._operations)}")
        _check(kind, details)
        method = None if method is None else method.upper()
        script = _Script(kind, operation, method, times, after, {**KINDS[kind], **details})
        with self._lock:
            self._scripts.append(script)

    def clear(self) -> None:
        """Remove the scripted faults; the log stays."""
        with self._lock:
            self._scripts.clear()

    @property
    def log(self) -> list[Fault]:
        """The faults that occurred, in order."""
        with self._lock:
            return list(self._log)

    def of_answer(self, operation: str | None, method: str, at: datetime) -> Fault | None:
        """Return the fault in the answer to this call, and count it."""
        kinds = frozenset(KINDS) - _OF_WORK
        return next(iter(self._take(kinds, operation, method, at, most=1)), None)

    def of_work(
        self, kinds: Collection[str], operation: str | None, method: str, at: datetime
    ) -> dict[str, dict[str, Any]]:
        """Return the details of the faults of these *kinds* in the work that this call starts."""
        fired = self._take(kinds, operation, method, at, most=len(KINDS))
        return {fault.kind: fault.details for fault in fired}

    def _take(
        self,
        kinds: Collection[str],
        operation: str | None,
        method: str,
        at: datetime,
        *,
        most: int,
    ) -> list[Fault]:
        fired: list[Fault] = []
        with self._lock:
            for script in list(self._scripts):
                if script.kind not in kinds or not script.matches(operation, method):
                    continue
                if script.after > 0:
                    script.after -= 1
                elif len(fired) < most:
                    script.times -= 1
                    fired.append(Fault(script.kind, script.details, operation, method, at))
                if script.times <= 0:
                    self._scripts.remove(script)
            self._log += fired
        return fired


def _check(kind: str, details: dict[str, Any]) -> None:
    if kind not in KINDS:
        raise ValueError(f"unknown fault {kind!r}: one of {', '.join(KINDS)}")
    defaults = KINDS[kind]
    if unknown := sorted(set(details) - set(defaults)):
        raise ValueError(f"fault {kind!r} has no {', '.join(unknown)}")
    required = [key for key, default in defaults.items() if default is ...]
    if missing := [key for key in required if key not in details]:
        raise ValueError(f"fault {kind!r} needs {', '.join(missing)}")
    if kind == "job_partial" and bool(details.get("errors")) == bool(details.get("every")):
        raise ValueError("fault 'job_partial' needs either errors or every, 1 or more")
