"""Render jobs, plans and results for people: the same lines and grids as text and as HTML."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from heapq import nsmallest
from itertools import chain, islice
from typing import Any, Final

from attrs import frozen

from lms_archive.archive.selection import Rows, Selection, UserEnrollments, WholeTarget
from lms_archive.archive.selection.terms import Terms, status_words
from lms_archive.archive.values.chunks import Chunk, PlannedTarget
from lms_archive.archive.values.outcomes import NOT_CHECKED, Outcome, Skip
from lms_archive.archive.values.plan_data import PlanData
from lms_archive.errors import plural, printable
from lms_archive.records.archived import ArchivedCourseEnrollment, ArchivedRecord
from lms_archive.tables.html import COLORS, MAX_ROWS, bar, block, counted, line, shown, table

_EXAMPLES: Final = 10
_SIMILAR: Final = 3
_WIDTH: Final = 40
_WARNING: Final = "THIS CANNOT BE UNDONE: archived enrollments cannot be restored."
_GRAVITY: Final = ("failed", "unknown", "archived", "skipped")
_OUTCOME: Final = ("line", "row", "kind", "code", "target", "user", "reason", "archived_at")
_RECORD: Final = (
    *("record_id", "user_id", "username", "target", "title", "status"),
    *("enrolled_at", "completed_at", "archived_at"),
)


@frozen
class Line:
    """A line of text; a strong line must not be overlooked."""

    text: str
    strong: bool = False

    def as_text(self) -> Iterator[str]:
        """Yield the line for a terminal."""
        yield printable(self.text)

    def as_html(self) -> Iterator[str]:
        """Yield the line for a notebook."""
        yield line(self.text, strong=self.strong)


@frozen
class Grid:
    """The first rows of a table.

    Attributes:
        title: what the rows are, and how many of how many.
        header: the names of the columns.
        rows: the rows that are shown.
        numbers: the columns with counts.
        bars: the columns of counts that HTML shows with bars too, and the color in each row.
    """

    title: str
    header: tuple[str, ...]
    rows: Sequence[Sequence[Any]]
    numbers: frozenset[str] = frozenset()
    bars: Mapping[str, Sequence[str]] = {}

    def as_text(self) -> Iterator[str]:
        """Yield the title and the rows, in columns; long cells are cut."""
        yield from ("", printable(self.title))
        counts = [name in self.numbers for name in self.header]
        rows = [self.header, *([*map(_cell, row, counts)] for row in self.rows)]
        widths = [min(_WIDTH, max(map(len, column))) for column in zip(*rows, strict=True)]
        for *row, last in rows:
            cells = map(_fitted, row, widths, counts)
            yield "  ".join(["", *cells, f"{last:>{widths[-1]}}" if counts[-1] else last]).rstrip()
        yield ""

    def as_html(self) -> Iterator[str]:
        """Yield the title and the table."""
        yield line(self.title, is_caption=True)
        yield table(self.header, self.rows, numbers=self.numbers, bars=self.bars)


@frozen
class Strip:
    """The shares of the kinds of outcomes as one bar; as text, their counts are in a line."""

    counts: Mapping[str, int]

    def as_text(self) -> Iterator[str]:
        """Yield nothing."""
        yield from ()

    def as_html(self) -> Iterator[str]:
        """Yield the bar."""
        counts = {kind: count for kind, count in self.counts.items() if count}
        total = sum(counts.values())
        names = [f"{count:,} {kind}" for kind, count in counts.items()]
        parts = [(100 * count / total, COLORS[kind]) for kind, count in counts.items()]
        yield bar(parts, ", ".join(names), names=names)


Part = Line | Grid | Strip


def text(parts: Iterable[Part]) -> str:
    """Render a summary for a terminal; control characters in names are shown escaped."""
    lines = chain.from_iterable(part.as_text() for part in parts)
    return "\n".join(lines).replace("\n\n\n", "\n\n")


def html(parts: Iterable[Part]) -> str:
    """Render a summary for a notebook."""
    return block(*chain.from_iterable(part.as_html() for part in parts))


def _cell(value: Any, is_count: bool) -> str:  # noqa: FBT001  by map
    return f"{value:,}" if is_count else printable(shown(value))


def _fitted(cell: str, width: int, is_count: bool) -> str:  # noqa: FBT001  by map
    if len(cell) > width:
        cell = f"{cell[: width - 3]}..."
    return f"{cell:>{width}}" if is_count else f"{cell:<{width}}"


def job_summary(terms: Terms, selection: Selection) -> list[Part]:
    """Summarize the selection and the terms of a job."""
    parts: list[Part] = [Line(f"Job: archive and {terms.mode}", strong=True), *_terms(terms)]
    whole = [part for part in selection.parts if not isinstance(part, Rows)]
    parts += map(_whole, whole)
    if selection or not whole:
        rows = [
            (row.line, row.target, row.user, row.fault and row.fault.reason)
            for row in islice(selection, MAX_ROWS)
        ]
        title = counted(len(rows), len(selection), "row")
        parts.append(Grid(title, ("line", "target", "user", "problem"), rows))
    return parts


def part_name(part: Rows | WholeTarget | UserEnrollments) -> str:
    """Say what a part of a job is, for its repr."""
    if isinstance(part, UserEnrollments):
        users = plural(len(part.users), "user")
        whose = users if part.inactive_since is None else "inactive users"
        return f"all enrollments of {whose} in {part.where}"
    if isinstance(part, WholeTarget):
        return f"all enrollments of {part.target}"
    source = f" of {part.source}" if part.source else ""
    return printable(f"{plural(len(part), 'row')}{source}")


def plan_summary(plan: PlanData) -> list[Part]:
    """Summarize a plan, for the decision whether to apply it."""
    enrollments = plural(sum(map(len, plan.chunks)), "enrollment")
    targets = _targets(plan.chunks)
    kinds = Counter(target.kind.replace("_", " ") for target in targets)
    counts = " and ".join(plural(count, kind) for kind, count in sorted(kinds.items()))
    where = f"in {counts} of {plan.platform}" if counts else f"of {plan.platform}"
    parts: list[Part] = [
        Line(f"Plan: archive and {plan.terms.mode} {enrollments} {where}", strong=True),
        *([Line(_WARNING, strong=True)] if plan.chunks else []),
        *_terms(plan.terms),
        *_limits_of_records(plan.chunks),
    ]
    if plan.chunks:
        parts += [_target_grid(targets), _enrollment_grid(plan.chunks)]
    else:
        parts.append(Line("Nothing to archive."))
    parts += _skip_grids(plan.skips) if plan.skips else [Line("No row is skipped.")]
    unexplained = sum(skip.is_unexplained for skip in plan.skips)
    if unexplained:
        rows = f"{plural(unexplained, 'row')} can be explained"
        calls = "one to three calls" if unexplained == 1 else "about three calls a row at most"
        parts.append(Line(f"{rows}: plan(client, explain=True) takes {calls}."))
    parts += [Line(f"Warning: {warning}") for warning in plan.warnings]
    if plan.chunks:
        calls = ", ".join(f"{name} {number:,}" for name, number in sorted(plan.calls.items()))
        total = f"{sum(plan.calls.values()):,}, plus polls of background jobs ({calls})"
        parts.append(Line(f"Calls: {total}."))
        parts.append(Line(f"Time: about {_time(plan.duration)}."))
    return [*parts, Line("This is a dry run: nothing was sent.", strong=True)]


def _terms(terms: Terms) -> Iterator[Line]:
    *others, last = status_words(terms)
    statuses = f"{', '.join(others)} and {last}" if others else last
    people = "learners and staff" if terms.include_staff else "learners"
    yield Line(f"Includes {statuses} enrollments of {people}.")
    yield Line(
        f"Tracking of the training material is {'RESET' if terms.reset_tracking else 'kept'}."
    )


def _limits_of_records(chunks: Sequence[Chunk]) -> Iterator[Line]:
    """Yield what else is archived, and what the archived records will not contain."""
    plans = [chunk for chunk in chunks if chunk.target.kind == "learning_plan"]
    if plans:
        courses = sum(len(chunk) * len(chunk.target.courses) for chunk in plans)
        number = plural(courses, "enrollment")
        of = "learning plan" if len({chunk.target for chunk in plans}) == 1 else "learning plans"
        yield Line(f"Up to {number} in courses of the {of} will be archived as well.")
        yield Line("The record of a learning plan does not contain scores, time spent or progress.")
    if len(plans) < len(chunks):
        yield Line(
            "As far as is known, the record of a course does not contain the progress in its "
            "training material."
        )


def _targets(chunks: Iterable[Chunk]) -> dict[PlannedTarget, list[int]]:
    """Return the sizes of the chunks of each target."""
    targets: dict[PlannedTarget, list[int]] = {}
    for chunk in chunks:
        targets.setdefault(chunk.target, []).append(len(chunk))
    return targets


def _target_grid(targets: Mapping[PlannedTarget, Sequence[int]]) -> Grid:
    first = islice(targets.items(), MAX_ROWS)
    rows = [(target, target.title, sum(sizes), len(sizes)) for target, sizes in first]
    numbers = frozenset({"to archive", "chunks"})
    title = counted(len(rows), len(targets), "target")
    bars = {"to archive": [COLORS["archived"]] * len(rows)}
    return Grid(title, ("target", "title", "to archive", "chunks"), rows, numbers, bars)


def _enrollment_grid(chunks: Sequence[Chunk]) -> Grid:
    """Show the first enrollments with their usernames, which reveal a misread id."""
    enrollments = ((chunk.target, member) for chunk in chunks for member in chunk.members)
    rows = [
        (target, member.user_id, member.username, member.status, member.enrolled_at)
        for target, member in islice(enrollments, _EXAMPLES)
    ]
    title = counted(len(rows), sum(map(len, chunks)), "enrollment")
    return Grid(title, ("target", "user_id", "username", "status", "enrolled_at"), rows)


def _skip_grids(skips: Sequence[Skip]) -> Iterator[Grid]:
    """Show how many rows are skipped with each code, and the reason of the first.

    Show the first names that nearly match too, unless these reasons have all of them already.
    """
    counts = Counter(skip.code for skip in skips)
    first = {skip.code: skip.reason for skip in reversed(skips)}
    examples = [(number, code, first[code]) for code, number in counts.most_common()]
    title = f"{plural(len(skips), 'row')} skipped"
    yield Grid(title, ("rows", "code", "for example"), examples, frozenset({"rows"}))
    similar = Counter(skip.reason for skip in skips if skip.names_similar)
    if not similar.keys() <= set(first.values()):
        rows = [
            (number, reason.replace(f" {NOT_CHECKED}", ""))
            for reason, number in similar.most_common(_SIMILAR)
        ]
        title = counted(len(rows), len(similar), "similar name")
        yield Grid(title, ("rows", "reason"), rows, frozenset({"rows"}))


def code_grid(counts: Sequence[tuple[str, str, int]]) -> Grid:
    """Show how many rows have each kind and code."""
    rows = [(count, kind, code) for kind, code, count in counts]
    bars = {"rows": [COLORS[kind] for kind, _, _ in counts]}
    return Grid("Rows by code", ("rows", "kind", "code"), rows, frozenset({"rows"}), bars)


def attention_grid(outcomes: Any) -> Grid:
    """Show the first outcomes that a person has to look at, the gravest kinds first."""
    gravest = nsmallest(MAX_ROWS, outcomes, key=lambda outcome: _GRAVITY.index(outcome.kind))
    rows = [_outcome(outcome) for outcome in gravest]
    verb = "needs" if len(outcomes) == 1 else "need"
    return Grid(f"{counted(len(rows), len(outcomes), 'row')} {verb} attention", _OUTCOME, rows)


def outcome_grid(outcomes: Any) -> Grid:
    """Show the first outcomes, in input order."""
    rows = [_outcome(outcome) for outcome in islice(outcomes, MAX_ROWS)]
    return Grid(counted(len(rows), len(outcomes), "outcome"), _OUTCOME, rows)


def record_grid(records: Any) -> Grid:
    """Show the first archived records."""
    rows = [_record(record) for record in islice(records, MAX_ROWS)]
    return Grid(counted(len(rows), len(records), "archived record"), _RECORD, rows)


def _outcome(outcome: Outcome) -> tuple[Any, ...]:
    archived_at = outcome.record and outcome.record.archiving.archived_at
    row = outcome.position if outcome.label is None else outcome.label
    return (
        *(
            outcome.line,
            None if outcome.line else row,
            outcome.kind,
            outcome.code,
            outcome.target,
            outcome.user,
        ),
        *("; ".join([outcome.reason, *outcome.differences]), archived_at),
    )


def _record(record: ArchivedRecord) -> tuple[Any, ...]:
    is_course = isinstance(record, ArchivedCourseEnrollment)
    target = record.course if is_course else record.learning_plan  # type: ignore[union-attr]
    return (
        *(record.archiving.record_id, record.user.user_id, record.user.username, target.code),
        *(target.title, record.enrollment.status, record.enrollment.enrolled_at),
        *(record.enrollment.completed_at, record.archiving.archived_at),
    )


def _whole(part: WholeTarget | UserEnrollments) -> Line:
    since = part.inactive_since
    whose = ""
    if isinstance(part, UserEnrollments) and since is None:
        whose = f" of {plural(len(part.users), 'user')}"
    elif isinstance(since, datetime):
        whose = f" of users inactive since {shown(since)}"
    elif since is not None:
        period = str(since) if since % timedelta(days=1) else plural(since.days, "day")
        whose = f" of users inactive for {period}"
    where = part.where if isinstance(part, UserEnrollments) else part.target
    excluded = f", with {plural(len(part.exclude), 'user')} excluded" if part.exclude else ""
    return Line(f"All matching enrollments{whose} in {where}{excluded}; planning finds them.")


def _time(duration: timedelta) -> str:
    seconds = duration.total_seconds()
    if seconds < 90:  # noqa: PLR2004
        return plural(round(seconds), "second")
    if seconds < 5400:  # noqa: PLR2004
        return plural(round(seconds / 60), "minute")
    return f"{seconds / 3600:.1f} hours"
