"""Schedules: what a seed stands for. A small platform, a job, and all that goes wrong meanwhile."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

__all__ = ["LATER", "MANY", "Act", "Fault", "Row", "Schedule", "make_schedule"]

LATER = 1200
"""From this seed on there is more to a schedule; the earlier ones stay what they were."""
MANY = 1300
"""From this seed on, a job goes over many small courses, which are read together."""

Key = tuple[str, int, int]
"""Kind of the target (`course` or `learning_plan`), its id, the user's id."""

SETTLE = 60.0
"""`RetryPolicy.settle`: a job whose answer was lost is taken to be listed by then (assumed)."""
FIRST_USER = 1001
NOBODY = 4040
DATES = ("2025-01-02 03:04:05", "2025-06-07 08:09:10")


@dataclass(frozen=True)
class Row:
    """A row asked for: its cells, and what it means; or how it is wrong."""

    cells: Mapping[str, Any]
    meant: Key | None = None
    wrong: str | None = None


@dataclass(frozen=True)
class Fault:
    """A fault of the sandbox's script."""

    kind: str
    method: str
    after: int
    times: int = 1
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Act:
    """Something that happens right before or after the n-th exchange of its kind.

    `what`: `unenroll`, `enroll` (anew), `archive` or `replace` (archive, and enroll anew), by
    another client, of `key`; `delete` of the course in `key`; `rename`, `shrink` or `grow` of the
    learning plan in `key`; `die`, `timeout` or `down` (for an hour)
    of what is between us and the platform.
    """

    what: str
    when: str
    nth: int
    after: bool
    key: Key | None = None


@dataclass(frozen=True)
class Schedule:
    """Everything that one seed stands for.

    Attributes:
        plans: the courses of each learning plan.
        enrolled: since when (or None), as what, at which level, by key.
        rows: what is asked for, in input order.
        ahead: seconds by which the clock of this machine is ahead of the platform's.
        wait: seconds between plan and apply; `pause`: before each resume.
        on_shared: what the plan is made with; `shared_courses_rule`: how the platform takes it.
        select_all: how many one call for all takes; 0 where the job names its rows.
        second: how a second ledger comes in: not (None), with the `same` plan or a `new` one,
            a minute after the end of the first; with `overlap`, while the first is dead.
    """

    seed: int
    users: int
    courses: int
    plans: Mapping[int, Sequence[int]]
    enrolled: Mapping[Key, tuple[str | None, str, str]]
    rows: tuple[Row, ...]
    mode: str
    reset: bool
    form: str
    canary: int
    hand_picked: int
    open_jobs: int
    job_seconds: float
    token_seconds: float
    ahead: float
    saved: bool
    wait: float
    keeps_date: bool
    carried_lag: int
    faults: tuple[Fault, ...]
    acts: tuple[Act, ...]
    pause: float
    second: str | None
    on_shared: str = "skip"
    shared_courses_rule: Literal["A", "B"] = "A"
    select_all: int = 0

    @property
    def lags(self) -> bool:
        """Whether the archived list may show a record late."""
        return self.carried_lag > 0 or any(one.kind == "archived_lag" for one in self.faults)


def make_schedule(seed: int) -> Schedule:
    """The schedule of a seed: the same one, always.

    From `LATER` on, every third seed has a course that is deleted meanwhile, plans that share
    courses and are archived all the same, or a course that is archived by a call for all. From
    `MANY` on, each has 8 to 15 courses with one to five users.
    """
    schedule = _schedule(seed)
    if seed < LATER:
        return schedule
    dice = random.Random(-seed)  # noqa: S311  no secret
    if seed >= MANY:
        return _many_small(schedule, dice)
    schedule = replace(schedule, second=schedule.second and "same", reset=False)
    return (_deleting, _sharing, _for_all)[seed % 3](schedule, dice)


def _deleting(schedule: Schedule, dice: random.Random) -> Schedule:
    """Another client deletes a course that is asked for, or that a plan holds."""
    courses = [row.meant[1] for row in schedule.rows if row.meant and row.meant[0] == "course"]
    courses += [course for held in schedule.plans.values() for course in held]
    if not courses:
        return schedule
    key = ("course", dice.choice(courses), 0)
    act = Act("delete", dice.choice(_MOMENTS), dice.randint(0, 4), dice.random() < 0.5, key)
    return replace(schedule, acts=(*schedule.acts, act))


def _sharing(schedule: Schedule, dice: random.Random) -> Schedule:
    """Two plans share a course, all of both is asked for, and the job goes on all the same."""
    plans = {50: (1, 2), 60: (2,)} if dice.random() < 0.7 else {50: (1,), 60: (1, 2)}
    enrolled = _enrolled(dice, schedule.courses, schedule.users, plans, dated=True)
    keys = [key for key in enrolled if key[0] == "learning_plan"]
    rows = tuple(Row(_cells(dice, key), key) for key in keys)
    acts = tuple(
        replace(one, key=dice.choice(keys)) if one.key and one.key[2] else one
        for one in schedule.acts
        if one.what not in ("rename", "shrink", "grow")
    )
    return replace(
        schedule,
        plans=plans,
        enrolled=enrolled,
        rows=rows,
        acts=acts if keys else (),
        mode="unenroll",
        keeps_date=False,
        on_shared="allow",
        shared_courses_rule="A" if dice.random() < 0.5 else "B",
    )


def _for_all(schedule: Schedule, dice: random.Random) -> Schedule:
    """A course of which everybody is archived; others may come in the same moment."""
    users = range(FIRST_USER, FIRST_USER + schedule.users)
    some = [user for user in users[:-1] if dice.random() < 0.9] or [FIRST_USER]
    keys: list[Key] = [("course", 1, user) for user in some]
    everybody: list[Key] = [("course", 1, user) for user in users]
    acts = [
        replace(one, key=dice.choice(everybody if dice.random() < 0.5 else keys))
        if one.key
        else one
        for one in schedule.acts
        if one.what not in ("rename", "shrink", "grow")
    ]
    if dice.random() < 0.5:
        late = dice.choice([key for key in everybody if key not in keys])
        acts.append(Act("enroll", "write", dice.choice([0, 1, 1, 1, 2]), after=False, key=late))
    return replace(
        schedule,
        plans={},
        enrolled={key: (dice.choice(DATES), "completed", "student") for key in keys},
        rows=tuple(
            Row({"course_id": 1, "user_id": key[2], "username": f"u{key[2]}"}, key) for key in keys
        ),
        acts=tuple(acts),
        mode="unenroll",
        form="rows",
        keeps_date=False,
        carried_lag=0,
        select_all=dice.choice([4, 10_000]),
    )


def _many_small(schedule: Schedule, dice: random.Random) -> Schedule:
    """Few users in each of many courses, so that readings are shared; sometimes with a plan."""
    courses, users = dice.randint(8, 15), dice.randint(4, 10)
    plans = _plans(dice, courses)
    everyone = _enrolled(dice, courses, users, plans, dated=schedule.mode == "re-enroll")
    enrolled: dict[Key, tuple[str | None, str, str]] = {}
    for target in dict.fromkeys(key[:2] for key in everyone):
        keys = [key for key in everyone if key[:2] == target]
        enrolled |= {
            key: everyone[key] for key in dice.sample(keys, min(len(keys), dice.randint(1, 5)))
        }
    rows = _rows(dice, enrolled, plans, courses)
    overlap = schedule.second == "overlap"
    acts = _acts(dice, rows, enrolled, plans, overlap=overlap)
    return replace(
        schedule,
        users=users,
        courses=courses,
        plans=plans,
        enrolled=enrolled,
        rows=rows,
        acts=acts,
        faults=_faults(dice, acts, overlap=overlap),
        keeps_date=False,
        hand_picked=dice.choice([2, 2, 3, 200]),
        wait=dice.choice([0, 1000, 90_000]),
    )


def _schedule(seed: int) -> Schedule:
    dice = random.Random(seed)  # noqa: S311  no secret
    mode = dice.choice(["unenroll", "re-enroll"])
    courses, users = dice.randint(2, 4), dice.randint(3, 25)
    plans = _plans(dice, courses)
    enrolled = _enrolled(dice, courses, users, plans, dated=mode == "re-enroll")
    rows = _rows(dice, enrolled, plans, courses)
    second = dice.choice([None, None, None, "same", "new", "overlap"])
    acts = _acts(dice, rows, enrolled, plans, overlap=second == "overlap")
    faults = _faults(dice, acts, overlap=second == "overlap")
    carried_lag = dice.choice([0, 0, 0, 40])
    lags = any(one.kind == "archived_lag" for one in faults)
    return Schedule(
        seed=seed,
        users=users,
        courses=courses,
        plans=plans,
        enrolled=enrolled,
        rows=rows,
        mode=mode,
        reset=dice.random() < 0.3,
        form=dice.choice(["rows", "csv"]),
        canary=dice.choice([0, 1, 1, 1, 2]),
        hand_picked=dice.choice([2, 3, 5, 200]),
        open_jobs=dice.choice([1, 2, 5]),
        job_seconds=dice.choice(_LONG if second == "overlap" else _SPANS),
        token_seconds=dice.choice([45, 600, 3600, 3600]),
        ahead=dice.choice([0.0, 86_400.0, -86_400.0]),
        saved=dice.random() < 0.2,
        wait=dice.choice([0, 0, 60, 60, 1000, 90_000]),
        keeps_date=mode == "re-enroll"
        and not (lags or second or carried_lag)
        and dice.random() < 0.2,
        carried_lag=carried_lag,
        faults=faults,
        acts=acts,
        pause=dice.choice([5.0, 60.0, 900.0]),
        second=second,
    )


_SPANS = (0,) * 5 + (3,) * 9 + (20,) * 9 + (90,) * 9 + (400,) * 3 + (5400,)
_LONG = (3, 20, 90, 90, 400)
"""Seconds that a background job takes."""


def _plans(dice: random.Random, courses: int) -> dict[int, tuple[int, ...]]:
    """None, one or two learning plans, which may share a course."""
    numbers = [50, 60][: dice.choice([0, 0, 1, 1, 2])]
    return {
        one: tuple(sorted(dice.sample(range(1, courses + 1), dice.randint(1, min(2, courses)))))
        for one in numbers
    }


def _enrolled(
    dice: random.Random,
    courses: int,
    users: int,
    plans: Mapping[int, Sequence[int]],
    *,
    dated: bool,
) -> dict[Key, tuple[str | None, str, str]]:
    found: dict[Key, tuple[str | None, str, str]] = {}
    words = ["completed"] * 17 + ["in_progress", "enrolled", "waiting"]
    targets = [("course", one) for one in range(1, courses + 1)]
    targets += [("learning_plan", one) for one in plans]
    for kind, target in targets:
        for user in range(FIRST_USER, FIRST_USER + users):
            if dice.random() > 0.8:
                continue
            date = dice.choice(DATES) if dated or dice.random() < 0.93 else None
            level = "tutor" if dice.random() < 0.04 else "student"
            found[kind, target, user] = (date, dice.choice(words), level)
    for plan, held in plans.items():  # who is in a plan is in most of its courses
        for kind, target, user in list(found):
            for course in held:
                if (kind, target) == ("learning_plan", plan) and dice.random() < 0.9:
                    found.setdefault(("course", course, user), (DATES[0], "completed", "student"))
    return found


def _rows(
    dice: random.Random,
    enrolled: Mapping[Key, object],
    plans: Mapping[int, Sequence[int]],
    courses: int,
) -> tuple[Row, ...]:
    """Most of who is enrolled, in any order, named in every way; some twice, some wrong."""
    share = dice.choice([0.3, 0.7, 1.0])
    kinds = {"course", "learning_plan"} if dice.random() < 0.5 else {"course"}
    if plans and dice.random() < 0.4:
        kinds = {"learning_plan"}
    meant = [key for key in enrolled if key[0] in kinds and dice.random() < share]
    if not meant:
        meant = list(enrolled)[:3]
    meant += dice.sample(meant, min(len(meant), dice.choice([0, 0, 1, 2])))
    if dice.random() < 0.3:
        meant.append(("course", dice.randint(1, courses), NOBODY))
    dice.shuffle(meant)
    rows = [Row(_cells(dice, key), key) for key in meant]
    if dice.random() < 0.4:
        wrong = dice.choice(
            [
                Row({"course_code": "NOWHERE", "user_id": FIRST_USER}, wrong="unknown_course"),
                Row({"course_id": 404, "user_id": FIRST_USER}, wrong="unknown_course"),
                Row({"course_id": 1, "user_id": "12x"}, wrong="bad_row"),
                Row({"course_id": 1}, wrong="bad_row"),
            ]
        )
        rows.insert(dice.randint(0, len(rows)), wrong)
    return tuple(rows)


def _cells(dice: random.Random, key: Key) -> dict[str, Any]:
    kind, target, user = key
    code = f"C{target}" if kind == "course" else f"P{target}"
    where = {f"{kind}_id": target} if dice.random() < 0.8 else {f"{kind}_code": code}
    who = {"user_id": user} if dice.random() < 0.8 else {"username": f"u{user}"}
    return {**where, **who}


_ANSWERS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("429", {"retry_after": 30}),
    ("429", {}),
    ("500", {}),
    ("503", {}),
    ("503", {"retry_after": 120}),
    ("html", {}),
    ("html", {"status": 502}),
    ("cut_before", {}),
    ("cut_after", {}),
    ("error_after", {"status": 500}),
    ("slow", {"seconds": 90}),
    ("slow", {"seconds": 20}),
    ("expired_token", {}),
)
_OF_WRITES: tuple[tuple[str, dict[str, Any]], ...] = (
    ("cut_after", {}),
    ("error_after", {"status": 408}),
    ("status", {"status": 400, "body": "no"}),
    ("status", {"status": 403, "body": "no"}),
    ("redirect", {"location": "https://elsewhere.example/"}),
)
IN_DOUBT = frozenset({"500", "503", "html", "cut_before", "cut_after", "error_after", "slow"})


def _faults(dice: random.Random, acts: Sequence[Act], *, overlap: bool) -> tuple[Fault, ...]:
    """Some of everything that the platform's answers and its jobs can do wrong."""
    found: list[Fault] = []
    for _ in range(dice.choice([0, 0, 1, 1, 2, 3])):
        kind, details = dice.choice(_ANSWERS + _OF_WRITES)
        times = dice.choice([1, 1, 1, 2, 4])
        found.append(Fault(kind, "PUT", dice.randint(0, 4), times, details))
    for _ in range(dice.choice([0, 0, 1, 2])):
        kind, details = dice.choice(_ANSWERS)
        times = dice.choice([1, 1, 2, 7])
        found.append(Fault(kind, "GET", dice.randint(0, 30), times, details))
    if dice.random() < 0.1:
        found.append(Fault("500", "POST", dice.randint(0, 1), dice.choice([1, 7])))
    lost = any(one.kind in IN_DOUBT and one.method == "PUT" for one in found)
    lost = lost or any(one.what in ("die", "timeout") for one in acts)
    late = [5, 30, SETTLE - 2] + ([] if lost else [300, 800])
    for _ in range(dice.choice([0, 0, 1, 2])):
        troubles: list[tuple[str, dict[str, Any]]] = [
            ("job_late", {"seconds": dice.choice(late)}),
            ("job_late", {"seconds": dice.choice(late)}),
            ("job_aborted", {"fraction": dice.choice([0, 0.3, 0.6])}),
            ("job_partial", {"errors": dice.randint(1, 3)}),
            ("job_partial", {"every": dice.randint(1, 3)}),
            ("archived_lag", {"seconds": dice.choice([10, 55, 55 if overlap else 200])}),
        ]
        kind, details = dice.choice(troubles)
        found.append(Fault(kind, "PUT", dice.randint(0, 2), dice.choice([1, 2, 9]), details))
    return tuple(found)


def _acts(
    dice: random.Random,
    rows: Sequence[Row],
    enrolled: Mapping[Key, tuple[str | None, str, str]],
    plans: Mapping[int, Sequence[int]],
    *,
    overlap: bool,
) -> tuple[Act, ...]:
    """What others do, and what dies, at which exchange."""
    asked = [row.meant for row in rows if row.meant is not None and row.meant[2] != NOBODY]
    found = []
    undated = [key for key in asked if key in enrolled and enrolled[key][0] is None]
    for _ in range(dice.choice([0, 1, 1, 2, 4])):
        what = dice.choice(["unenroll", "enroll", "enroll", "archive", "replace"])
        when, after = dice.choice(_MOMENTS), dice.random() < 0.5
        whose = dice.choice(undated if undated and dice.random() < 0.5 else asked)
        found.append(Act(what, when, dice.randint(0, 5), after, whose))
    if plans and dice.random() < 0.25:
        what, plan = dice.choice(["rename", "shrink", "grow"]), dice.choice(list(plans))
        key = ("learning_plan", plan, 0)
        found.append(Act(what, dice.choice(_MOMENTS), dice.randint(0, 3), after=True, key=key))
    if overlap or dice.random() < 0.3:
        when = "write" if overlap else dice.choice(["write", "write", *_MOMENTS])
        found.append(Act("die", when, dice.randint(0, 2), dice.random() < 0.7))
    if dice.random() < 0.15:
        found.append(Act("timeout", "write", dice.randint(0, 3), after=False))
    if dice.random() < 0.1:
        found.append(Act("down", dice.choice(_MOMENTS), dice.randint(0, 4), dice.random() < 0.5))
    return tuple(found)


_MOMENTS = ("write", "poll", "archived", "active")
