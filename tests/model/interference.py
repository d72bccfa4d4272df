"""Whoever else is at work: people on the platform, and what is between it and us."""

from collections import Counter
from collections.abc import Callable

from oracle import OTHER_ACCOUNT, TABLES, Change
from schedules import Act, Key, Schedule
from virtual_time import Exchange, Harness

__all__ = ["Interference", "Killed"]

HOUR = 3600.0


class Killed(BaseException):
    """Stands for the death of the process: nothing is caught."""


class Interference:
    """Does the acts of a schedule, each right before or after its exchange."""

    def __init__(self, harness: Harness, schedule: Schedule, say: Callable[[str], None]) -> None:
        self.harness, self.schedule, self.say = harness, schedule, say
        self.changes: list[Change] = []
        self.done: Counter[str] = Counter()
        self.waits = False
        self.times: list[float] = []
        self._at = 0.0
        self._left = list(schedule.acts)
        self._count: Counter[str] = Counter()
        self._down_until = 0.0
        self._grown: list[tuple[int, int]] = []

    def begin(self) -> None:
        """Watch the line from now on."""
        self.times += [self.harness.time.passed] * len(self.harness.line.exchanges)
        self.harness.line.before.append(self._before)
        self.harness.line.after.append(self._after)

    def _before(self, exchange: Exchange) -> None:
        self._at = float(len(self.times))
        self.times.append(self.harness.time.passed)
        moment = None if self.waits else _moment(exchange)
        if exchange.is_write:
            self.say(f"{exchange.method} {exchange.path} {exchange.body}")
        self._act(moment, after=False)
        if moment is not None:
            self._count[moment] += 1
        if self.harness.time.passed < self._down_until:
            raise ConnectionRefusedError(111, "Connection refused")

    def _after(self, exchange: Exchange) -> None:
        moment = None if self.waits else _moment(exchange)
        if moment is not None:
            self._at = len(self.times) - 0.5
            self._act(moment, after=True)

    def _act(self, moment: str | None, *, after: bool) -> None:
        for one in list(self._left):
            nth = self._count[one.when] - after
            if (one.when, one.after) == (moment, after) and nth >= one.nth:
                self._left.remove(one)
                self._do(one)

    def _do(self, one: Act) -> None:
        self.harness.sandbox.advance()
        self.say(f"OTHER_ACCOUNT: {one.what} {one.key or ''}")
        if one.what in ("die", "timeout", "down"):
            self.done[one.what] += 1
        if one.what == "die":
            raise Killed
        if one.what == "timeout":
            raise TimeoutError("no answer within the time-out")
        if one.what == "down":
            self._down_until = self.harness.time.passed + HOUR
            return
        assert one.key is not None or one.what == "down"
        if one.what == "delete" and one.key is not None:
            self._delete(one.key[1])
        elif one.key is not None and one.key[2] == 0:
            self._change_plan(one.what, one.key[1])
        elif one.key is not None:
            self._enrollment(one.what, one.key)

    def _enrollment(self, what: str, key: Key) -> None:
        kind, target, user = key
        table, where = TABLES[kind], f"{kind}_id = {target} AND user_id = {user}"
        found = self.harness.sql(f"SELECT enrollment_created_at FROM {table} WHERE {where}")
        old, now = (found[0][0] if found else None), f"{self.harness.time.now():%Y-%m-%d %H:%M:%S}"
        if (not found and what in ("unenroll", "archive")) or old == now:
            return
        if found and what in ("archive", "replace"):
            self._archive(kind, where, now)
        self.harness.change(f"DELETE FROM {table} WHERE {where}")
        if what in ("enroll", "replace"):
            more = ", enrollment_completion_percentage" if kind != "course" else ""
            self.harness.change(
                f"INSERT INTO {table} ({kind}_id, user_id, enrollment_status, enrollment_level, "
                f"enrollment_time_spent, enrollment_created_at{more}) VALUES "
                f"({target}, {user}, 'completed', 'student', 0, '{now}'{', 100' if more else ''})"
            )
        self.done[what] += 1
        self.changes.append(
            Change(what, key, old, now if what in ("enroll", "replace") else None, self._at)
        )

    def _delete(self, course: int) -> None:
        """Another client deletes a course: its enrollments are gone, its records stay."""
        for user, date in self.harness.sql(
            "SELECT user_id, enrollment_created_at FROM enrollments WHERE course_id = ?", course
        ):
            self.changes.append(Change("delete", ("course", course, user), date, None, self._at))
        self.changes.append(Change("delete", ("course", course, 0), None, None, self._at))
        for table, column in (
            ("enrollments", "course_id"),
            ("learning_plan_courses", "course_id"),
            ("courses", "id_course"),
        ):
            self.harness.change(f"DELETE FROM {table} WHERE {column} = ?", course)
        self.done["delete a course"] += 1

    def _archive(self, kind: str, where: str, now: str) -> None:
        """Another client archives one enrollment and unenrolls."""
        of_target = {
            "course": "course_name, course_code, course_uid, course_type, enrollment_level, "
            "enrollment_time_spent",
            "learning_plan": "learning_plan_title, learning_plan_code, learning_plan_uuid, "
            "learning_plan_status, learning_plan_courses",
        }[kind]
        values = {
            "course": "'', '', '', '', enrollment_level, enrollment_time_spent",
            "learning_plan": "'', '', '', 2, ''",
        }[kind]
        self.harness.change(
            f"INSERT INTO archived_{TABLES[kind]} (archived_at, archived_by, user_id, username, "
            "enrollment_created_at, enrollment_status, user_is_active, user_is_suspended, "
            f"user_level, {kind}_id, {of_target}) SELECT '{now}', {OTHER_ACCOUNT}, user_id, "
            f"'u' || user_id, enrollment_created_at, enrollment_status, 1, 0, '', {kind}_id, "
            f"{values} FROM {TABLES[kind]} WHERE {where}"
        )

    def _change_plan(self, what: str, plan: int) -> None:
        held = [
            one
            for (one,) in self.harness.sql(
                "SELECT course_id FROM learning_plan_courses WHERE learning_plan_id = ?", plan
            )
        ]
        there = [one for (one,) in self.harness.sql("SELECT id_course FROM courses ORDER BY 1")]
        others = [one for one in there if one not in held]
        if what == "rename":
            self.harness.sandbox.change_learning_plan(plan, title="Renamed", code=f"P{plan}")
        elif what == "shrink" and len(held) > 1:
            self.harness.sandbox.change_learning_plan(plan, courses=held[1:])
        elif what == "grow" and others:
            self.harness.sandbox.change_learning_plan(plan, courses=[*held, others[0]])
            self._grown.append((plan, others[0]))
            self.changes.append(Change("grow", ("learning_plan", plan, others[0]), None, None))
        else:
            return
        self.done[f"{what} a plan"] += 1

    def undo_growth(self) -> None:
        """The course that was added is taken out again, since the job has stopped for it."""
        for plan, course in self._grown:
            self.harness.change(
                "DELETE FROM learning_plan_courses WHERE learning_plan_id = ? AND course_id = ?",
                plan,
                course,
            )
        self._grown.clear()


def _moment(exchange: Exchange) -> str | None:
    if exchange.is_write:
        return "write"
    if exchange.is_poll:
        return "poll"
    if exchange.path.endswith("/archived"):
        return "archived"
    return "active" if exchange.path.endswith("/enrollments") else None
