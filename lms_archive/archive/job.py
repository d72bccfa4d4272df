"""What to archive, and how: frozen jobs, each builder returning a new one."""

from __future__ import annotations

import os
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from attrs import evolve, field, fields, frozen

from lms_archive.archive.html import job_html
from lms_archive.archive.plan import ArchivePlan
from lms_archive.archive.planning import make_plan
from lms_archive.archive.reading import read_csv, read_mappings, read_users
from lms_archive.archive.rules import OnShared
from lms_archive.archive.selection import Everything, Form, Selection, Target, is_id, plain
from lms_archive.archive.terms import Terms
from lms_archive.client import Client
from lms_archive.errors import InvalidInputError
from lms_archive.records.active import User
from lms_archive.records.status import ArchiveMode
from lms_archive.resources.users import Since, checked_since

__all__ = ["ArchiveJob"]


@frozen(kw_only=True)
class ArchiveJob:
    """Enrollments to archive, and what becomes of the learners.

    Made by `from_csv`, `from_rows`, or `for_course(...)` and `for_learning_plan(...)` followed by
    `.users(...)` or `.all_enrollments(...)`; jobs on the same terms can
    be added. An `int` is an id, a `str` is a code or a username, always. Every builder takes:

    * `mode`: `"unenroll"`: archive and unenroll, or `"re-enroll"`: archive and re-enroll.
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
            InvalidInputError: an argument cannot be used.
        """
        terms = Terms(
            mode=mode, reset_tracking=reset_tracking, only=only, include_staff=include_staff
        )
        return cls(terms=terms, target=Target.of("course", target))

    @classmethod
    def for_learning_plan(
        cls,
        target: int | str,
        *,
        mode: ArchiveMode | str,
        reset_tracking: bool,
        only: str | Iterable[str] = "completed",
        include_staff: bool = False,
    ) -> ArchiveJob:
        """A job on one learning plan, by id (int) or code (str); otherwise as `for_course`.

        The enrollments for all courses of the plan are archived as well (article).

        Raises:
            InvalidInputError: an argument cannot be used.
        """
        terms = Terms(
            mode=mode, reset_tracking=reset_tracking, only=only, include_staff=include_staff
        )
        return cls(terms=terms, target=Target.of("learning_plan", target))

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

        Its columns are `username` or `user_id`, and `course_code`, `course_id`,
        `learning_plan_code` or `learning_plan_id`, one target a row, found ignoring case, spaces,
        `_` and `-`; other columns are carried into the outcome. Comma, semicolon or tab; UTF-8
        with or without BOM, UTF-16 with BOM, or `encoding`.

        Raises:
            InvalidInputError: the file cannot be read, or an argument cannot be used. A single bad
                row is not an error: it gets the outcome *skipped*, with line and reason.
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

        The names are those of `from_csv`. A cell that JSON has no form for, as a date, is kept as
        its text.

        Raises:
            InvalidInputError: they are no rows, or an argument cannot be used.
        """
        terms = Terms(
            mode=mode, reset_tracking=reset_tracking, only=only, include_staff=include_staff
        )
        return cls(terms=terms, selection=Selection((read_mappings(rows),)))

    def users(self, users: Iterable[int | str | User]) -> ArchiveJob:
        """This job with these users: an `int` is a user id, a `str` a username.

        A `User` of `client.users` stands for its id.

        Raises:
            InvalidInputError: the job has no target, or this is not an iterable of users.
        """
        if self.target is None:
            raise InvalidInputError(".users(...) follows for_course(...): here is no target")
        rows = read_users(self.target, users)
        return evolve(self, selection=Selection((*self.selection.parts, rows)))

    def all_enrollments(
        self,
        *,
        inactive_since: Since | None = None,
        exclude: Iterable[int | str] = (),
        form: Form = "hand_picked",
    ) -> ArchiveJob:
        """This job with every enrollment of its target that it takes, found out by `plan`.

        Args:
            inactive_since: only users whose last access lies before this: a day (from its
                midnight, UTC), an aware time, or how long ago. Users who never logged in are
                not taken.
            exclude: ids and usernames that are left alone.
            form: `"select_all"` asks for the platform's select-all form, up to 10,000 a call (on
                the screen: article; for the API assumed), where it is confirmed and safe; it is
                sent as hand-picked chunks elsewhere, and the plan says why.

        Who is taken is decided when it is planned: a saved plan does not look again at who has
        logged in since.

        Raises:
            InvalidInputError: the job has no target, or an argument cannot be used.
        """
        if self.target is None:
            raise InvalidInputError(
                ".all_enrollments(...) follows for_course(...): here is no target"
            )
        if form not in ("hand_picked", "select_all"):
            raise InvalidInputError(f"form is 'hand_picked' or 'select_all', not {form!r}")
        given: Any = [exclude] if isinstance(exclude, (int, str)) else exclude
        if not isinstance(given, Iterable):
            raise InvalidInputError(
                f"exclude holds ids and usernames, in a list, not {exclude!r:.60}"
            )
        left_alone = [plain(one) for one in given]
        wrong = [x for x in left_alone if not (is_id(x) or isinstance(x, str))]
        if wrong:
            raise InvalidInputError(
                f"exclude holds ids (int) and usernames (str), not {wrong[0]!r:.60}"
            )
        everything = Everything(
            self.target,
            None if inactive_since is None else checked_since(inactive_since),
            frozenset(left_alone),
            form,
        )
        return evolve(self, selection=Selection((*self.selection.parts, everything)))

    def __add__(self, other: ArchiveJob) -> ArchiveJob:
        """The rows of both, this job's first.

        Raises:
            InvalidInputError: the jobs differ in mode, reset_tracking, only or include_staff.
        """
        if not isinstance(other, ArchiveJob):
            return NotImplemented
        if self.terms != other.terms:
            raise InvalidInputError(
                f"jobs can only be added on equal terms; {_unlike(self, other)}"
            )
        parts = (self.selection.parts, other.selection.parts)
        if not all(parts):
            raise InvalidInputError(
                "a job without a selection cannot be added: say .users(...) first"
            )
        return ArchiveJob(terms=self.terms, selection=Selection(parts[0] + parts[1]))

    def __len__(self) -> int:
        """How many rows are asked for."""
        return len(self.selection)

    def _repr_html_(self) -> str:
        return job_html(self.terms, self.selection)

    def plan(
        self,
        client: Client,
        *,
        on_shared: OnShared = "skip",
        skip_archived_within: timedelta = timedelta(days=30),
    ) -> ArchivePlan:
        """What `apply` would do, found out by reading only.

        Args:
            client: the platform.
            on_shared: what becomes of an archive and unenroll of a learning plan that shares a
                course with another plan: `"skip"` its rows, `"fail"` the planning, or `"allow"`
                it, when what became of each course is read back and told. The platform does not
                proceed with those courses and plans (article). Two plans of one archive and
                re-enroll job that share a course for a user fall under it too.
            skip_archived_within: in archive and re-enroll, users archived in the target less
                than this ago are skipped.

        Raises:
            InvalidInputError: the job has no selection, or `on_shared="fail"` found something.
            ApiError: a call failed.
        """
        if not self.selection.parts:
            more = ".users(...) or .all_enrollments()"
            raise InvalidInputError(f"this job has no selection: say whose enrollments with {more}")
        _check("plan", client, Client)
        _check("skip_archived_within", skip_archived_within, timedelta)
        if skip_archived_within < timedelta():
            raise InvalidInputError(
                f"skip_archived_within lies in the future: {skip_archived_within}"
            )
        if on_shared not in ("skip", "fail", "allow"):
            raise InvalidInputError(f"on_shared is 'skip', 'fail' or 'allow', not {on_shared!r}")
        return make_plan(
            self.terms,
            self.selection,
            client,
            on_shared=on_shared,
            skip_archived_within=skip_archived_within,
        )


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


def _check(name: str, value: object, kind: type) -> None:
    if not isinstance(value, kind):
        raise InvalidInputError(f"{name} takes a {kind.__name__}, not {value!r:.60}")
