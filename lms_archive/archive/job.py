"""What to archive, and how: frozen jobs, each builder returning a new one."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

from attrs import evolve, field, fields, frozen

from lms_archive.archive.plan import ArchivePlan
from lms_archive.archive.planning import make_plan
from lms_archive.archive.reading import read_csv, read_mappings, read_users
from lms_archive.archive.selection import Selection, Target, Terms
from lms_archive.client import Client
from lms_archive.errors import BadInput
from lms_archive.records.status import ArchiveMode

__all__ = ["ArchiveJob"]


@frozen(kw_only=True)
class ArchiveJob:
    """Enrollments to archive, and what becomes of the learners.

    Made by `from_csv`, `from_rows`, or `for_course(...).users(...)`; jobs on the same terms can
    be added. An `int` is an id, a `str` is a code or a username, always. Every builder takes:

    * `mode`: `"unenroll"`: archive and unenroll (an `ArchiveMode`).
    * `reset_tracking`: whether the tracking of the training material is reset. It has no
      default: it is a decision.
    * `only`: a status word, several, or `"any"`. Completed enrollments by default, since
      archiving an unfinished one takes progress away.
    * `include_staff`: whether tutors, instructors and coaches are taken too.
    """

    terms: Terms
    selection: Selection = field(factory=Selection, repr=False)
    target: Target | None = None

    @classmethod
    def for_course(
        cls,
        target: int | str,
        *,
        mode: ArchiveMode | str,
        reset_tracking: bool,
        only: str | Iterable[str] = "completed",
        include_staff: bool = False,
    ) -> ArchiveJob:
        """A job on one course, by id (int) or code (str); say whose with `.users(...)`.

        Raises:
            BadInput: an argument cannot be used.
        """
        terms = Terms(
            mode=mode, reset_tracking=reset_tracking, only=only, include_staff=include_staff
        )
        return cls(terms=terms, target=Target.of("course", target))

    @classmethod
    def from_csv(
        cls,
        path: str | os.PathLike[str],
        *,
        mode: ArchiveMode | str,
        reset_tracking: bool,
        only: str | Iterable[str] = "completed",
        include_staff: bool = False,
        encoding: str | None = None,
    ) -> ArchiveJob:
        """A job of a CSV file, read and checked at once.

        Its columns are `username` or `user_id`, and `course_code` or `course_id`, found ignoring
        case, spaces, `_` and `-`; other columns are carried into the outcome. Comma, semicolon
        or tab; UTF-8 with or without BOM, UTF-16 with BOM, or `encoding`.

        Raises:
            BadInput: the file cannot be read, or an argument cannot be used. A single bad row
                is no error: it gets the outcome *skipped*, with line and reason.
        """
        terms = Terms(
            mode=mode, reset_tracking=reset_tracking, only=only, include_staff=include_staff
        )
        return cls(terms=terms, selection=Selection((read_csv(path, encoding=encoding),)))

    @classmethod
    def from_rows(
        cls,
        rows: Iterable[Any],
        *,
        mode: ArchiveMode | str,
        reset_tracking: bool,
        only: str | Iterable[str] = "completed",
        include_staff: bool = False,
    ) -> ArchiveJob:
        """A job of rows in memory: mappings, a DataFrame, or records of `client.enrollments`.

        The names are those of `from_csv`.

        Raises:
            BadInput: they are no rows, or an argument cannot be used.
        """
        terms = Terms(
            mode=mode, reset_tracking=reset_tracking, only=only, include_staff=include_staff
        )
        return cls(terms=terms, selection=Selection((read_mappings(rows),)))

    def users(self, users: Iterable[int | str]) -> ArchiveJob:
        """This job with these users: an `int` is a user id, a `str` a username.

        Raises:
            BadInput: the job has no target, or this is not an iterable of users.
        """
        if self.target is None:
            raise BadInput(".users(...) follows for_course(...): here is no target")
        rows = read_users(self.target, users)
        return evolve(self, selection=Selection((*self.selection.parts, rows)))

    def __add__(self, other: ArchiveJob) -> ArchiveJob:
        """The rows of both, this job's first.

        Raises:
            BadInput: the jobs differ in mode, reset_tracking, only or include_staff.
        """
        if not isinstance(other, ArchiveJob):
            return NotImplemented
        if self.terms != other.terms:
            raise BadInput(f"jobs can only be added on equal terms; {_unlike(self, other)}")
        parts = (self.selection.parts, other.selection.parts)
        if not all(parts):
            raise BadInput("a job without a selection cannot be added: say .users(...) first")
        return ArchiveJob(terms=self.terms, selection=Selection(parts[0] + parts[1]))

    def __len__(self) -> int:
        """How many rows are asked for."""
        return len(self.selection)

    def plan(self, client: Client) -> ArchivePlan:
        """What `apply` would do, found out by reading only.

        Raises:
            BadInput: the job has no selection.
            ApiError: a call failed.
        """
        if not self.selection.parts:
            raise BadInput("this job has no selection: say whose enrollments with .users(...)")
        return make_plan(self.terms, self.selection, client)


def _unlike(one: ArchiveJob, other: ArchiveJob) -> str:
    """The terms in which two jobs differ, in words."""
    pairs = (
        (f.name, getattr(one.terms, f.name), getattr(other.terms, f.name)) for f in fields(Terms)
    )
    return ", ".join(
        f"{name} is {_said(a)} here, {_said(b)} there" for name, a, b in pairs if a != b
    )


def _said(term: object) -> str:
    return " or ".join(term) if isinstance(term, tuple) else str(term)
