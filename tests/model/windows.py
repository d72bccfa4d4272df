"""The window in which two who act at once cannot be kept apart, to the call.

In archive and re-enroll it begins with the last reading of the enrollment, which must be the
last call before the write (but for logins, and the same write refused in the same second); in
archive and unenroll that reading may be 900 s old. It ends with the work of the write.
"""

import re
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from oracle import Change, Record
from schedules import FIRST_USER, Key
from virtual_time import START, Exchange

__all__ = ["FRESH", "Windows"]

FRESH = 900.0
"""`Limits.freshness`."""
_ACTIVE = re.compile(r"/(courses|learningplans)/(\d+)/enrollments$")
_SHARED = re.compile(r"/(courses|learningplans)/enrollments$")


class Windows:
    """Which changes of another client fell into the window of the write that made a record."""

    def __init__(
        self, exchanges: Sequence[Exchange], times: Sequence[float], *, again: bool
    ) -> None:
        self._again = again
        self._reads: list[tuple[int, tuple[str, int], set[int] | None]] = []
        self._writes: list[tuple[int, set[Key]]] = []
        self._exchanges, self._times = exchanges, times
        for index, one in enumerate(exchanges):
            if one.is_write:
                self._writes.append((index, _keys(one)))
            else:
                users = _ids(one, "user_id[]") or None
                self._reads += ((index, target, users) for target in _targets(one))

    def holds(self, record: Record, changes: Iterable[Change]) -> bool:
        """Whether what was archived had been made by another client in that window."""
        made = [one for one in changes if one.key == record.key and one.new == record.date]
        writes = [
            index
            for index, keys in self._writes
            if record.key in keys and _stamp(self._times[index]) == record.made_at
        ]
        return any(self._held(write, record.key, change) for write in writes for change in made)

    def _held(self, write: int, key: Key, change: Change) -> bool:
        reads = [
            index
            for index, target, users in self._reads
            if index < write and target == key[:2] and (users is None or key[2] in users)
        ]
        if not reads or change.at <= reads[-1]:
            return False
        if self._again:
            between = self._exchanges[reads[-1] + 1 : write]
            soon = self._times[write] - self._times[reads[-1]] < 1
            return all(one.path == "/oauth2/token" or (soon and one.is_write) for one in between)
        first = next(index for index, keys in self._writes if index > reads[-1] and key in keys)
        return self._times[first] - self._times[reads[-1]] <= FRESH


def _targets(read: Exchange) -> Iterable[tuple[str, int]]:
    """The targets whose active enrollments are read: one, or those that a shared list names."""
    if (found := _ACTIVE.search(read.path)) is not None:
        return [(_KINDS[found[1]], int(found[2]))]
    if (found := _SHARED.search(read.path)) is not None:
        kind = _KINDS[found[1]]
        return [(kind, target) for target in _ids(read, f"{kind}_id[]")]
    return []


def _ids(exchange: Exchange, name: str) -> set[int]:
    return {int(value) for key, value in exchange.query if key == name}


_EVERYBODY = range(FIRST_USER, FIRST_USER + 100)
_KINDS = {"courses": "course", "learningplans": "learning_plan"}


def _keys(write: Exchange) -> set[Key]:
    if "select_all" in write.body:
        return {("course", write.body["course_id"][0], user) for user in _EVERYBODY}
    if "course_id" in write.body:
        return {("course", write.body["course_id"][0], user) for user in write.body["user_id"]}
    plan = int(write.path.split("/")[-2])
    return {("learning_plan", plan, user) for user in write.body["user_ids"]}


def _stamp(passed: float) -> str:
    at: datetime = START + timedelta(seconds=passed)
    return f"{at:%Y-%m-%d %H:%M:%S}"
