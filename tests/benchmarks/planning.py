"""From a CSV file of a million rows to chunks, offline, against pandas.

pandas reads the file, drops duplicates, groups by course and slices each group into lists of
usernames. We read the file, with a reason for each row that cannot be used, and sort it by
target ("rows"); then each row is matched with its enrollment, which is known already, and the
pre-images are cut into chunks ("pre-images"), which pandas has nothing for. The time to make up
the enrollments is not counted. Each side is a process of its own. Needs the extra `bench`.
"""

import csv
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from .common import alternating, figure, in_child, peak, say

_COURSES, _USERS, _SIZE = 2_000, 300_000, 200
_MILLION, _TENTH = 1_000_000, 100_000
_ENROLLED = datetime(2024, 1, 1, tzinfo=timezone.utc)


def _write(path: Path, count: int) -> None:
    rng = random.Random(8)  # noqa: S311  no secret
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("username", "course_code"))
        for _ in range(count):
            user, course = rng.randrange(_USERS), rng.randrange(_COURSES)
            writer.writerow((f"learner{user:06d}@example.com", f"COURSE-{course:04d}"))


class _Stages:
    """CPU seconds and the most memory so far, by stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.peak: dict[str, float] = {}

    def run(self, name: str, do: Callable[..., Any], *given: Any) -> Any:
        begun = time.process_time()
        made = do(*given)
        self.seconds[name] = self.seconds.get(name, 0.0) + time.process_time() - begun
        self.peak[name] = peak()
        return made

    def told(self, **more: Any) -> dict[str, Any]:
        return {"seconds": self.seconds, "peak": self.peak, **more}


def child(side: str, path: str) -> dict[str, Any]:
    """One side's figures."""
    sides = {"pandas": _pandas, "rows": _rows, "pre-images": _pre_images}
    return sides[side](path)


def _pandas(path: str) -> dict[str, Any]:
    import pandas as pd  # noqa: PLC0415  only this side needs it

    stages = _Stages()
    frame = stages.run("read", lambda: pd.read_csv(path, dtype=str))
    frame = stages.run("duplicates", frame.drop_duplicates)

    def cut() -> list[tuple[str, list[str]]]:
        return [
            (code, group.iloc[start : start + _SIZE].tolist())
            for code, group in frame.groupby("course_code", sort=False)["username"]
            for start in range(0, len(group), _SIZE)
        ]

    return stages.told(chunks=len(stages.run("group and slice", cut)))


def _rows(path: str) -> dict[str, Any]:
    from lms_archive.archive.planning.matching import merge_requested  # noqa: PLC0415  not in pandas' process
    from lms_archive.archive.selection.csv_file import read_csv  # noqa: PLC0415

    stages = _Stages()
    rows = stages.run("read", read_csv, path)

    def cut() -> list[tuple[Any, list[Any]]]:
        return [
            (target, users[start : start + _SIZE])
            for target, places in rows.by_target()
            for users in [list(dict.fromkeys(merge_requested([(0, rows, places)]).users))]
            for start in range(0, len(users), _SIZE)
        ]

    return stages.told(chunks=len(stages.run("sort and cut", cut)))


def _pre_images(path: str) -> dict[str, Any]:
    from lms_archive.archive.planning.matching import (  # noqa: PLC0415
        Match,
        merge_requested,
    )
    from lms_archive.archive.selection import Selection  # noqa: PLC0415
    from lms_archive.archive.selection.csv_file import read_csv  # noqa: PLC0415
    from lms_archive.archive.selection.terms import Terms  # noqa: PLC0415
    from lms_archive.archive.values.chunks import PlannedTarget  # noqa: PLC0415

    stages = _Stages()
    terms = Terms(mode="unenroll", reset_tracking=False, only="completed", include_staff=False)
    rows = stages.run("read", read_csv, path)
    selection = Selection((rows,))
    sorted_ = stages.run("sort", lambda: list(rows.by_target()))
    chunks: list[Any] = []
    for number, (target, places) in enumerate(sorted_, start=1):
        mine = stages.run("sort", merge_requested, [(0, rows, places)])
        items = list(_enrolled(number, set(mine.users)))
        match = Match(terms, items, lambda _: {}, selection.where)
        members = stages.run("match", lambda of, rows: list(of.members(rows)), match, mine)
        found = PlannedTarget(kind="course", target_id=number, code=target.code)
        chunks += stages.run("cut", _cut, found, members, terms)
    return stages.told(chunks=len(chunks))


def _cut(*given: Any) -> list[Any]:
    from lms_archive.archive.values.chunks import split_into_chunks  # noqa: PLC0415

    target, members, terms = given
    return list(split_into_chunks(target, members, size=_SIZE, terms=terms, read_at=_ENROLLED))


def _enrolled(course_id: int, names: set[str]) -> Iterator[Any]:
    """An enrollment of each, as a reading would give it."""
    from lms_archive.records import CourseEnrollment, EnrollmentLevel, EnrollmentStatus  # noqa: PLC0415

    for name in names:
        user_id = int(name[7:13]) + 1
        yield CourseEnrollment(
            user_id=user_id,
            username=f"learner{user_id - 1:06d}@example.com",  # a text of its own, as from JSON
            course_id=course_id,
            status=EnrollmentStatus.COMPLETED,
            level=EnrollmentLevel.LEARNER,
            enrolled_at=_ENROLLED + timedelta(seconds=user_id),
            completed_at=_ENROLLED + timedelta(days=9, seconds=user_id),
            score=88.0,
            time_spent=600,
        )


def main() -> None:
    """Compare by turns, then ten times the rows."""
    with tempfile.TemporaryDirectory() as folder:
        million, tenth = Path(folder, "million.csv"), Path(folder, "tenth.csv")
        _write(million, _MILLION)
        _write(tenth, _TENTH)
        last: dict[str, dict[str, Any]] = {}

        def measure(side: str, path: Path) -> Callable[[], float]:
            def once() -> float:
                told = last[f"{side} {path.stem}"] = in_child("planning", side, path)
                return float(sum(told["seconds"].values()))

            return once

        sides = ("pandas", "rows", "pre-images")
        took = alternating(
            {
                f"{side} {path.stem}": measure(side, path)
                for side in sides
                for path in (million, tenth)
            },
            rounds=3,
        )
    for side in sides:
        told = last[f"{side} million"]
        stages = ", ".join(
            f"{name} {seconds:.2f} s ({told['peak'][name]:.0f} MiB)"
            for name, seconds in told["seconds"].items()
        )
        say(f"  {side}, last round: {stages}; {told['chunks']:,} chunks")
    for side in ("rows", "pre-images"):
        goal = "<= 1.2" if side == "rows" else ""
        ratio = took[f"{side} million"] / took["pandas million"]
        figure(f"CSV to {side}, a million: CPU time, of pandas'", ratio, goal=goal)
        most = max(last[f"{side} million"]["peak"].values())
        figure(f"CSV to {side}, a million: peak memory", most, "MiB", goal="<= 250")
        growth = took[f"{side} million"] / took[f"{side} tenth"]
        figure(f"CSV to {side}: ten times the rows cost", growth, goal="<= 11")
