"""Jobs, plans and results as a notebook shows them: a few plain tables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence, Sized
from datetime import datetime, timedelta
from itertools import islice
from typing import Any, Final

from lms_archive.archive.cutting import Chunk
from lms_archive.archive.outcomes import Outcome, Skip
from lms_archive.archive.printed import (
    FOREVER,
    headline,
    numbered,
    reasons,
    targets,
    what_is_done,
    what_it_takes,
)
from lms_archive.archive.selection import Everything, Selection
from lms_archive.archive.terms import Terms
from lms_archive.records.archived import ArchivedCourseEnrollment, ArchivedRecord
from lms_archive.records.html import MAX_ROWS, block, counted, line, table

__all__ = ["job_html", "outcomes_html", "plan_html", "records_html", "result_html"]

_OUTCOME: Final = ("line", "kind", "code", "target", "user", "reason", "archived_at")
_RECORD: Final = (
    *("record_id", "user_id", "username", "target", "title", "status"),
    *("enrolled_at", "completed_at", "archived_at"),
)


def job_html(terms: Terms, selection: Selection) -> str:
    """What is asked for, and on which terms."""
    parts = [line(f"Job: archive and {terms.mode}", strong=True)]
    parts += map(line, what_is_done(terms))
    everything = [part for part in selection.parts if isinstance(part, Everything)]
    parts += map(line, map(_everything, everything))
    if selection or not everything:
        rows = (
            (row.line, row.target, row.user, row.fault and row.fault.reason)
            for row in islice(selection, MAX_ROWS)
        )
        parts.append(line(_head(selection, "row")))
        parts.append(table(("line", "target", "user", "what is wrong"), rows))
    return block(*parts)


def plan_html(
    *,
    platform: str,
    terms: Terms,
    chunks: Sequence[Chunk],
    skips: Sequence[Skip],
    warnings: Iterable[str],
    calls: Mapping[str, int],
    duration: timedelta,
) -> str:
    """The dry run."""
    parts = [line(headline(platform, terms, chunks), strong=True), line(FOREVER, strong=True)]
    parts += map(line, what_is_done(terms, chunks))
    found = targets(chunks)
    if found:
        rows = ((target, target.title, count, number) for target, count, number in found)
        header = ("target", "title", "to archive", "chunks")
        parts.append(line(_head(found, "target")))
        parts.append(table(header, rows, numbers=("to archive", "chunks")))
    else:
        parts.append(line("Nothing to archive."))
    parts.append(line(f"Skipped: {numbered(len(skips), 'row')}" if skips else "Skipped: no row."))
    if skips:
        parts.append(table(("rows", "code", "for example"), reasons(skips), numbers=("rows",)))
    parts += [line(f"Warning: {text}") for text in warnings]
    return block(*parts, *map(line, what_it_takes(calls, duration)))


def result_html(counts: Mapping[str, int], notes: Iterable[str], outcomes: Any) -> str:
    """What came of a job: the counts, then the first outcomes."""
    title = "Result: " + ", ".join(f"{count:,} {kind}" for kind, count in counts.items())
    return block(line(title, strong=True), *map(line, notes), *_outcomes(outcomes))


def outcomes_html(outcomes: Any, what: str) -> str:
    """Outcomes in input order; `what` says which."""
    return block(line(what, strong=True), *_outcomes(outcomes))


def records_html(records: Any) -> str:
    """The archived records of a result."""
    rows = map(_record, records)
    return block(line(_head(records, "archived record"), strong=True), table(_RECORD, rows))


def _outcomes(outcomes: Any) -> Iterator[str]:
    yield line(_head(outcomes, "outcome"))
    yield table(_OUTCOME, map(_outcome, outcomes))


def _outcome(one: Outcome) -> tuple[Any, ...]:
    at = one.record and one.record.archiving.archived_at
    return one.line, one.kind, one.code, one.target, one.user, one.reason, at


def _record(one: ArchivedRecord) -> tuple[Any, ...]:
    target = one.course if isinstance(one, ArchivedCourseEnrollment) else one.learning_plan
    return (
        *(one.archiving.record_id, one.user.user_id, one.user.username, target.code),
        *(target.title, one.enrollment.status, one.enrollment.enrolled_at),
        *(one.enrollment.completed_at, one.archiving.archived_at),
    )


def _head(what: Sized, word: str) -> str:
    total = len(what)
    return counted(min(total, MAX_ROWS), total, word)


def _everything(part: Everything) -> str:
    since = part.inactive_since
    if isinstance(since, datetime):
        when = f", of users inactive since {since:%Y-%m-%d %H:%M:%S}Z"
    else:
        when = "" if since is None else f", of users inactive for {_long(since)}"
    spared = f", {len(part.exclude):,} excluded" if part.exclude else ""
    return f"Every enrollment of {part.target} that it takes{when}{spared}: found out by the plan."


def _long(time: timedelta) -> str:
    return str(time) if time % timedelta(days=1) else numbered(time.days, "day")
