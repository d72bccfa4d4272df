"""What to archive, and how: frozen jobs, each builder returning a new one."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import IO, Any

from attrs import evolve, field, frozen

from lms_archive.archive.added_columns import added_in
from lms_archive.archive.plan import ArchivePlan
from lms_archive.archive.planning.planner import make_plan
from lms_archive.archive.planning.rules import OnShared
from lms_archive.archive.rendering import html, job_summary, part_name
from lms_archive.archive.selection import (
    Everything,
    Form,
    Rows,
    Selection,
    Target,
    Targets,
    read_exclusions,
    read_people,
    read_places,
    read_rows,
    read_users,
)
from lms_archive.archive.selection.csv_file import read_csv
from lms_archive.archive.selection.terms import Terms
from lms_archive.client import Client
from lms_archive.errors import InvalidInputError
from lms_archive.records.active import User
from lms_archive.records.status import ArchiveMode
from lms_archive.resources.users import Since, checked_since
from lms_archive.wire.tracebacks import short_traceback

__all__ = ["ArchiveJob"]

_SHOWN = 3


@frozen(kw_only=True, repr=False)
class ArchiveJob:
    """Enrollments to archive, and what becomes of the learners.

    Made by `from_csv`, `from_rows`, `for_users`, `for_inactive_users`, or `for_course(...)` and
    `for_learning_plan(...)` followed by `.users(...)` or `.all_enrollments(...)`; jobs on the
    same terms can be added. An `int` is an id, a `str` is a code or a username, always. Every
    builder takes:

    * `mode`: `"unenroll"`: archive and unenroll, or `"re-enroll"`: archive and re-enroll.
    * `reset_tracking`: whether the tracking of the training material is reset. It has no
      default: it is a decision.
    * `only`: a status word, several, or `"any"`. Completed enrollments by default, since
      archiving an unfinished one takes progress away.
    * `include_staff`: whether tutors, instructors and coaches are taken too.
    """

    terms: Terms
    selection: Selection = field(factory=Selection)
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

        The enrollments for all courses of the plan are archived as well.

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
        path: str | os.PathLike[str] | IO[str] | IO[bytes],
        *,
        mode: ArchiveMode | str,
        reset_tracking: bool,
        only: str | Iterable[str] = "completed",
        include_staff: bool = False,
        encoding: str | None = None,
        columns: Mapping[str, str] | None = None,
    ) -> ArchiveJob:
        """Read and check a CSV file, and make a job of its rows.

        Its columns are `username` or `user_id`, and `course_code`, `course_id`,
        `learning_plan_code` or `learning_plan_id`, one target a row. Case, spaces, `_` and `-` in
        their names do not matter, and the names in the platform's own reports work as they are.
        Other columns are carried into the outcome. Comma, semicolon or tab; UTF-8 with or without
        BOM, or UTF-16 with BOM. Titles above the header are passed over.

        Args:
            path: the file, or an open file.
            mode: see the class, as for the other terms.
            reset_tracking: see the class.
            only: see the class.
            include_staff: see the class.
            encoding: the file's encoding, where it is another one, such as `"cp1252"`.
            columns: the names of columns that are called otherwise, by ours:
                `{"username": "Benutzername", "course_code": "Kurscode"}`.

        Raises:
            InputFileError: the file is missing, or cannot be read.
            InvalidInputError: it is not such a CSV file, or an argument cannot be used. A single
                bad row is not an error: it gets the outcome *skipped*, with line and reason.
        """
        terms = Terms(
            mode=mode, reset_tracking=reset_tracking, only=only, include_staff=include_staff
        )
        rows = read_csv(path, encoding=encoding, columns=columns, added_in=added_in)
        return cls(terms=terms, selection=Selection((rows,)))

    @classmethod
    def from_rows(
        cls,
        rows: Iterable[Any],
        *,
        mode: ArchiveMode | str,
        reset_tracking: bool,
        only: str | Iterable[str] = "completed",
        include_staff: bool = False,
        columns: Mapping[str, str] | None = None,
    ) -> ArchiveJob:
        """Make a job of rows in memory.

        The names of the columns are those of `from_csv`, and a row is judged as there. A cell
        that JSON has no form for, such as a date, is kept as its text.

        Args:
            rows: mappings, a DataFrame, an Arrow table, or records of `client.enrollments`, whose
                id and username must still agree.
            mode: see the class, as for the other terms.
            reset_tracking: see the class.
            only: see the class.
            include_staff: see the class.
            columns: as for `from_csv`.

        Raises:
            InvalidInputError: they are not rows, or an argument cannot be used.
        """
        terms = Terms(
            mode=mode, reset_tracking=reset_tracking, only=only, include_staff=include_staff
        )
        return cls(terms=terms, selection=Selection((read_rows(rows, columns=columns),)))

    @classmethod
    def for_users(
        cls,
        users: Iterable[int | str | User],
        *,
        mode: ArchiveMode | str,
        reset_tracking: bool,
        only: str | Iterable[str] = "completed",
        include_staff: bool = False,
        targets: Targets = "courses",
        courses: Iterable[int | str] | None = None,
        exclude_courses: Iterable[int | str] = (),
    ) -> ArchiveJob:
        """Make a job of every enrollment of these users, in every course.

        `plan` finds the enrollments. Each one that is found gets an outcome, and so does each user
        who has none.

        Args:
            users: an `int` is a user id, a `str` a username; or records of `client.users`.
            mode: see the class, as for the other terms.
            reset_tracking: see the class.
            only: see the class.
            include_staff: see the class.
            targets: `"learning_plans"` takes the enrollments in learning plans instead.
            courses: only in these courses, by id (int) or code (str).
            exclude_courses: not in these courses.

        Raises:
            InvalidInputError: an argument cannot be used.
        """
        terms = Terms(
            mode=mode, reset_tracking=reset_tracking, only=only, include_staff=include_staff
        )
        places = read_places(targets, courses, exclude_courses)
        part = evolve(places, users=read_people(users))
        return cls(terms=terms, selection=Selection((part,)))

    @classmethod
    def for_inactive_users(
        cls,
        *,
        since: Since,
        exclude: Iterable[int | str | User] = (),
        mode: ArchiveMode | str,
        reset_tracking: bool,
        only: str | Iterable[str] = "completed",
        include_staff: bool = False,
        targets: Targets = "courses",
        courses: Iterable[int | str] | None = None,
        exclude_courses: Iterable[int | str] = (),
    ) -> ArchiveJob:
        """Make a job of every enrollment of inactive users, in every course.

        `plan` finds the users and their enrollments; a saved plan does not look again at who has
        logged in since. Users who never logged in are not included. Otherwise as `for_users`.

        Args:
            since: only users whose last access is earlier: a day (from its midnight, UTC), an
                aware time, or how long ago.
            exclude: ids and usernames that are left alone. A name that matches nobody although
                one that is easily taken for it is inactive stops the planning.
            mode: see the class, as for the other terms.
            reset_tracking: see the class.
            only: see the class.
            include_staff: see the class.
            targets: see `for_users`.
            courses: see `for_users`.
            exclude_courses: see `for_users`.

        Raises:
            InvalidInputError: an argument cannot be used.
        """
        terms = Terms(
            mode=mode, reset_tracking=reset_tracking, only=only, include_staff=include_staff
        )
        places = read_places(targets, courses, exclude_courses)
        inactive, left_alone = checked_since(since), read_exclusions(exclude)
        part = evolve(places, inactive_since=inactive, exclude=left_alone)
        return cls(terms=terms, selection=Selection((part,)))

    def users(self, users: Iterable[int | str | User]) -> ArchiveJob:
        """Return this job with these users: an `int` is a user id, a `str` a username.

        White space around a username does not count. A `User` of `client.users` stands for its id.

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
        exclude: Iterable[int | str | User] = (),
        form: Form = "hand_picked",
    ) -> ArchiveJob:
        """This job with every enrollment of its target that it takes, found out by `plan`.

        Args:
            inactive_since: only users whose last access lies before this: a day (from its
                midnight, UTC), an aware time, or how long ago. Users who never logged in are
                not taken.
            exclude: ids and usernames that are left alone. A name that matches nobody although
                one that is easily taken for it is enrolled stops the planning.
            form: `"select_all"` asks for the platform's select-all form, up to 10,000 a call (on
                the screen: article; for the API assumed), where it is confirmed and safe; it is
                sent as hand-picked chunks elsewhere, and the plan says why.

        Who is taken is decided when it is planned: a saved plan does not look again at who has
        logged in since.

        Raises:
            InvalidInputError: the job has no target, or an argument cannot be used.
        """
        if self.target is None:
            text = ".all_enrollments(...) follows for_course(...): here is no target"
            raise InvalidInputError(text)
        if form not in ("hand_picked", "select_all"):
            raise InvalidInputError(f"form is 'hand_picked' or 'select_all', not {form!r}")
        everything = Everything(
            self.target,
            None if inactive_since is None else checked_since(inactive_since),
            read_exclusions(exclude),
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
            difference = self.terms.difference(other.terms)
            raise InvalidInputError(f"jobs can only be added on equal terms; {difference}")
        parts = (self.selection.parts, other.selection.parts)
        if not all(parts):
            raise InvalidInputError(
                "a job without a selection cannot be added: say .users(...) first"
            )
        return ArchiveJob(terms=self.terms, selection=Selection(parts[0] + parts[1]))

    def __radd__(self, other: int) -> ArchiveJob:
        """Let `sum(jobs)` begin: 0 and a job is the job."""
        return self if type(other) is int and other == 0 else NotImplemented

    @property
    def row_count(self) -> int | None:
        """How many rows are asked for; None where only a plan can find out."""
        is_known = all(isinstance(part, Rows) for part in self.selection.parts)
        return len(self.selection) if is_known else None

    def __repr__(self) -> str:
        parts = self.selection.parts
        shown = [part_name(part) for part in parts[:_SHOWN]]
        if len(parts) > _SHOWN:
            shown.append(f"{len(parts) - _SHOWN:,} more")
        if not parts:
            shown = [f"no selection yet in {self.target}" if self.target else "no selection"]
        return f"<ArchiveJob {self.terms.mode}, {' + '.join(shown)}>"

    def _repr_html_(self) -> str:
        return html(job_summary(self.terms, self.selection))

    @short_traceback
    def plan(
        self,
        client: Client,
        *,
        on_shared: OnShared = "skip",
        skip_archived_within: timedelta = timedelta(days=30),
    ) -> ArchivePlan:
        """Find out what `apply` would do, by reading only.

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
            PermissionDeniedError: the job has learning plans, and the account is a Power User.
            ApiError: a call failed.
        """
        if not self.selection.parts:
            cure = "say whose enrollments with .users(...) or .all_enrollments()"
            raise InvalidInputError(f"this job has no selection: {cure}")
        _check("plan", client, Client)
        _check("skip_archived_within", skip_archived_within, timedelta)
        if (span := skip_archived_within) < timedelta():
            raise InvalidInputError(f"skip_archived_within lies in the future: {span}")
        if on_shared not in ("skip", "fail", "allow"):
            raise InvalidInputError(f"on_shared is 'skip', 'fail' or 'allow', not {on_shared!r}")
        plan = ArchivePlan.of(
            *make_plan(
                self.terms,
                self.selection,
                client,
                on_shared=on_shared,
                skip_archived_within=skip_archived_within,
            )
        )
        client.session.keep_reading(plan)
        return plan


def _check(name: str, value: object, kind: type) -> None:
    if not isinstance(value, kind):
        raise InvalidInputError(f"{name} takes a {kind.__name__}, not {value!r:.60}")
