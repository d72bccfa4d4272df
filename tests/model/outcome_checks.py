"""What was told, row by row, against the platform's file."""

from collections.abc import Iterator, Sequence

from oracle import Asking, Change, Record, Truth, deleted, grown, may_be_skipped
from schedules import Key, Schedule

from lms_archive import Outcome

__all__ = ["wrong_reports"]

LATE = ("archived_with_learning_plan", "not_archived_with_learning_plan")


def wrong_reports(
    schedule: Schedule, asking: Asking, now: Truth, changes: Sequence[Change]
) -> Iterator[str]:
    """Say of each outcome that is not true what is wrong with it; and whether all are there."""
    outcomes = asking.outcomes or []
    if [dict(one.row) for one in outcomes] != _cells(schedule):
        yield f"{len(outcomes)} outcomes are not the {len(schedule.rows)} rows in their order"
        return
    seen = (asking.before, asking.after)  # an older job may have worked while it was planned
    allowed = [
        (one | two, both and too)
        for (one, both), (two, too) in zip(
            *(may_be_skipped(schedule, truth) for truth in seen), strict=True
        )
    ]
    for index, (row, one) in enumerate(zip(schedule.rows, outcomes, strict=True)):
        codes, must = allowed[index]
        for text in _row(schedule, asking, now, changes, row.meant, one, codes, must=must):
            yield f"row {index + 1} {row.meant or row.wrong}: {one.kind} {one.code}: {text}"


def _cells(schedule: Schedule) -> list[dict[str, object]]:
    """The rows as they must come back: of a file, text, with every column."""
    names = list(dict.fromkeys(name for row in schedule.rows for name in row.cells))
    if schedule.form == "csv":
        return [{n: str(row.cells.get(n, "")) for n in names} for row in schedule.rows]
    return [{n: row.cells.get(n) for n in names} for row in schedule.rows]


def _row(
    schedule: Schedule,
    asking: Asking,
    now: Truth,
    changes: Sequence[Change],
    key: Key | None,
    one: Outcome,
    codes: set[str],
    *,
    must: bool,
) -> Iterator[str]:
    acted = {change.key for change in changes}
    if key is not None and key[:2] in {("course", course) for course in deleted(changes)}:
        if one.code == "target_missing":
            yield from _missing_row(asking, now, key)
            return
        if one.code == "unreadable":
            return  # it was sent, and nobody can see any more what became of it
    if one.kind == "skipped" and one.code in codes:
        if one.code in LATE and key is not None:
            yield from _row_with_plan(asking, now, acted, key, one.code)
        return
    if must or key is None:
        yield f"must have been skipped as {' or '.join(sorted(codes))}"
        return
    if one.kind == "archived":
        yield from _archived(schedule, asking, now, acted, key, one, deleted(changes))
    else:
        yield from _not_archived(schedule, asking, now, changes, key, one)


def _missing_row(asking: Asking, now: Truth, key: Key) -> Iterator[str]:
    """A row of a course that is not there any more: it was not sent."""
    own = [one for one in now.records.get(key, ()) if asking.made(one) and one.plan is None]
    if own:
        yield f"record {own[0].number} was made by this very ledger"


def _not_archived(  # noqa: C901  one kind after the other
    schedule: Schedule,
    asking: Asking,
    now: Truth,
    changes: Sequence[Change],
    key: Key,
    one: Outcome,
) -> Iterator[str]:
    acted = any(change.key == key for change in changes)
    date = asking.before.active[key]
    records = now.of(key, date)
    still = key in now.active and now.active[key] == date
    own = [record for record in records if asking.made(record)]
    if one.kind == "failed":  # stays told, though another ledger takes it up afterwards
        if own:
            yield f"record {own[0].number} is of exactly this enrollment"
        elif not (still or records or acted):
            yield "the enrollment is not active"
    elif one.kind == "skipped":
        if one.code != "changed":
            yield f"nothing gives a reason for that; {one.reason}"
        elif still:
            yield "the enrollment stands as it was"
        elif any(not _by_growth(asking, changes, record) for record in own):
            yield f"record {own[0].number} was made by this very ledger"
        elif records and date is not None and not schedule.lags:
            yield f"record {records[0].number} is of exactly this enrollment, whoever made it"
    elif date is None and acted and len(now.records[key]) > 1:
        return  # which of two new records is that of an undated enrollment cannot be told
    elif records:
        yield f"record {records[0].number} is of exactly this enrollment"
    elif one.code != "not_seen" or not acted:
        yield f"unknown is not true here; {one.reason}"


def _by_growth(asking: Asking, changes: Sequence[Change], record: Record) -> bool:
    """Whether a course went with a plan that it was put into meanwhile, and that is told."""
    grew = record.plan is not None and record.key[1] in grown(changes, record.plan)
    return grew and asking.warned


def _archived(
    schedule: Schedule,
    asking: Asking,
    now: Truth,
    acted: set[Key],
    key: Key,
    one: Outcome,
    gone: set[int],
) -> Iterator[str]:
    date, at = asking.before.active[key], now.active.get(key, "none")
    own = [record.number for record in now.of(key, date)]
    if one.record is None or one.record.archiving.record_id not in own:
        yield f"told another record than {own}"
    still = at == date
    if (one.code == "still_enrolled") != still and key not in acted:
        yield f"active since {at}"
    if key not in acted and schedule.mode == "re-enroll":
        if (one.code == "not_re_enrolled") != (at == "none"):
            yield f"enrolled again: {at}"
    elif key not in acted and not still and at != "none":
        yield f"active since {at}"
    for course in one.courses:
        where = ("course", course.course_id, key[2])
        if course.status == "missing" and course.course_id in gone:
            continue
        if any(not record.ours for record in now.of(key, date)):
            continue  # whoever archived the plan by itself left its courses to later jobs
        if where not in acted:
            yield from _course(schedule, asking, now, where, course.status, course.record_id)


def _course(
    schedule: Schedule, asking: Asking, now: Truth, key: Key, became: str, number: int | None
) -> Iterator[str]:
    """What became of a course that was archived with a plan."""
    before = {one.number for one in asking.before.records.get(key, ())}
    records = [one for one in now.records.get(key, ()) if one.number not in before]
    at = now.active.get(key, "none")
    if number is None:
        true = not records and became == ("not_enrolled" if at == "none" else "not_archived")
    else:
        own = next((one for one in records if one.number == number), None)
        again = schedule.mode == "re-enroll"
        if own is None:
            true = False
        elif at == own.date:
            true = became == "still_enrolled"
        elif at == "none" and again:
            true = became == "not_re_enrolled"
        else:
            true = became == "archived"
    if not true:
        yield f"course {key[1]} is told as {became}, active since {at}, records {records}"


def _row_with_plan(
    asking: Asking, now: Truth, acted: set[Key], key: Key, code: str
) -> Iterator[str]:
    """A course row that went along with a plan's row, or did not."""
    before = {one.number for one in asking.before.records.get(key, ())}
    records = [one for one in now.records.get(key, ()) if one.number not in before]
    if code == "archived_with_learning_plan" and not records and key not in acted:
        yield "there is no record"
    if code == "not_archived_with_learning_plan" and any(asking.made(one) for one in records):
        yield f"record {records[0].number} was made along"
