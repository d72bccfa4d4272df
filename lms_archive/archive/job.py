"""Jobs: which enrollments to archive, and how. Jobs are frozen; each method returns a new one."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import IO, TYPE_CHECKING, Any

from attrs import evolve, field, frozen

from lms_archive.archive.added_columns import find_added
from lms_archive.archive.events import plan_progress
from lms_archive.archive.options import check_client
from lms_archive.archive.plan import ArchivePlan
from lms_archive.archive.planning.planner import PlanOptions, make_plan
from lms_archive.archive.planning.rules import OnShared
from lms_archive.archive.rendering import html, job_summary, part_name
from lms_archive.archive.selection import (
    Form,
    Rows,
    Selection,
    Target,
    Targets,
    UserEnrollments,
    WholeTarget,
)
from lms_archive.archive.selection.csv_file import read_csv
from lms_archive.archive.selection.in_memory import (
    read_exclusions,
    read_people,
    read_rows,
    read_scope,
    read_users,
)
from lms_archive.archive.selection.terms import TERM_DEFAULTS, TermOptions, Terms
from lms_archive.client import Client
from lms_archive.errors import InvalidInputError
from lms_archive.records.active import User
from lms_archive.resources.signatures import shows_options
from lms_archive.resources.users import Since, checked_since
from lms_archive.wire.tracebacks import short_traceback

if TYPE_CHECKING:
    from typing_extensions import Unpack

_SHOWN = 3


@frozen(kw_only=True, repr=False)
class ArchiveJob:
    """The enrollments to archive, and what happens to the learners.

    Create a job with `from_csv`, `from_rows`, `for_users` or `for_inactive_users`, or with
    `for_course(...)` or `for_learning_plan(...)` followed by `.users(...)` or
    `.all_enrollments(...)`. Jobs with equal terms can be added. An `int` is always an id, a
    `str` always a code or a username. The terms:

    * `mode`: `"unenroll"` to archive and unenroll, or `"re-enroll"` to archive and re-enroll.
    * `reset_tracking`: whether to reset the tracking of the training material. It has no default,
      because you must decide.
    * `only`: a status, several, or `"any"`. The default is completed enrollments, because
      archiving an unfinished enrollment loses progress.
    * `include_staff`: whether to include tutors, instructors and coaches.
    """

    terms: Terms
    selection: Selection = field(factory=Selection)
    target: Target | None = None

    @classmethod
    @short_traceback
    @shows_options(TermOptions, TERM_DEFAULTS)
    def for_course(cls, target: int | str, **terms: Unpack[TermOptions]) -> ArchiveJob:
        """Create a job for one course, by id (int) or code (str); add users with `.users(...)`.

        Raises:
            InvalidInputError: an argument cannot be used.
        """
        return cls(terms=Terms(**terms), target=Target.of("course", target))

    @classmethod
    @short_traceback
    @shows_options(TermOptions, TERM_DEFAULTS)
    def for_learning_plan(cls, target: int | str, **terms: Unpack[TermOptions]) -> ArchiveJob:
        """Create a job for one learning plan, by id (int) or code (str); see `for_course`.

        The enrollments for all courses of the plan are archived as well.

        Raises:
            InvalidInputError: an argument cannot be used.
        """
        return cls(terms=Terms(**terms), target=Target.of("learning_plan", target))

    @classmethod
    @short_traceback
    @shows_options(TermOptions, TERM_DEFAULTS)
    def from_csv(
        cls,
        path: str | os.PathLike[str] | IO[str] | IO[bytes],
        *,
        encoding: str | None = None,
        columns: Mapping[str, str] | None = None,
        **terms: Unpack[TermOptions],
    ) -> ArchiveJob:
        """Read and check a CSV file, and create a job from its rows.

        The file needs a column `username` or `user_id`, and a column `course_code`, `course_id`,
        `learning_plan_code` or `learning_plan_id`; each row names one target. Case, spaces, `_`
        and `-` in these names do not matter, and the names in the platform's own reports work
        unchanged. Other columns are copied into the outcome. The delimiter is a comma, a semicolon
        or a tab; the encoding is UTF-8 with or without BOM, or UTF-16 with BOM. Titles above the
        header are ignored.

        Args:
            path: the path of the file, or an open file.
            encoding: another encoding of the file, such as `"cp1252"`.
            columns: the file's own names for these columns, as in
                `{"username": "Benutzername", "course_code": "Kurscode"}`.

        Raises:
            InputFileError: the file does not exist, or cannot be read.
            InvalidInputError: it is not such a CSV file, or an argument cannot be used. A single
                bad row is not an error: it gets the outcome *skipped*, with line and reason.
        """
        job = cls(terms=Terms(**terms))
        return job._with(read_csv(path, encoding=encoding, columns=columns, added_in=find_added))

    @classmethod
    @short_traceback
    @shows_options(TermOptions, TERM_DEFAULTS)
    def from_rows(
        cls,
        rows: Iterable[Any],
        *,
        columns: Mapping[str, str] | None = None,
        **terms: Unpack[TermOptions],
    ) -> ArchiveJob:
        """Create a job from rows in memory.

        The names of the columns, and the rules for a row, are those of `from_csv`. A cell that
        JSON cannot represent, such as a date, is stored as text.

        Args:
            rows: mappings, a DataFrame, an Arrow table, or records of `client.enrollments`, whose
                id and username must still agree.
            columns: as for `from_csv`.

        Raises:
            InvalidInputError: they are not rows, or an argument cannot be used.
        """
        job = cls(terms=Terms(**terms))
        return job._with(read_rows(rows, columns=columns))

    @classmethod
    @short_traceback
    @shows_options(TermOptions, TERM_DEFAULTS)
    def for_users(
        cls,
        users: Iterable[int | str | User],
        *,
        targets: Targets = "courses",
        courses: Iterable[int | str] | None = None,
        exclude_courses: Iterable[int | str] = (),
        **terms: Unpack[TermOptions],
    ) -> ArchiveJob:
        """Create a job for all enrollments of these users that match its terms, in all courses.

        `plan` finds the enrollments. Each one that is found gets an outcome, and so does each user
        who has no such enrollment.

        Args:
            users: an `int` is a user id, a `str` a username; or records of `client.users`.
            targets: `"learning_plans"` takes the enrollments in learning plans instead.
            courses: only in these courses, by id (int) or code (str).
            exclude_courses: not in these courses.

        Raises:
            InvalidInputError: an argument cannot be used.
        """
        job = cls(terms=Terms(**terms))
        scope = read_scope(targets, courses, exclude_courses)
        return job._with(evolve(scope, users=read_people(users)))

    @classmethod
    @short_traceback
    @shows_options(TermOptions, TERM_DEFAULTS)
    def for_inactive_users(
        cls,
        *,
        since: Since,
        exclude: Iterable[int | str | User] = (),
        targets: Targets = "courses",
        courses: Iterable[int | str] | None = None,
        exclude_courses: Iterable[int | str] = (),
        **terms: Unpack[TermOptions],
    ) -> ArchiveJob:
        """Create a job for all enrollments of inactive users that match its terms, in all courses.

        `plan` finds the users and their enrollments; a saved plan does not look again at who has
        logged in since. Users who never logged in are not included. In all other respects it
        works like `for_users`.

        Args:
            since: only users whose last login is earlier: a day (from its midnight, UTC), an
                aware time, or how long ago.
            exclude: ids and usernames to leave alone. If a name matches no inactive user, but
                differs from one only in case, spaces or invisible characters, planning stops.
            targets: see `for_users`.
            courses: see `for_users`.
            exclude_courses: see `for_users`.

        Raises:
            InvalidInputError: an argument cannot be used.
        """
        job = cls(terms=Terms(**terms))
        scope = read_scope(targets, courses, exclude_courses)
        inactive, left_alone = checked_since(since), read_exclusions(exclude)
        return job._with(evolve(scope, inactive_since=inactive, exclude=left_alone))

    def users(self, users: Iterable[int | str | User]) -> ArchiveJob:
        """Return this job with these users: an `int` is a user id, a `str` a username.

        A username is looked up as it is, then without the white space around it. A `User` of
        `client.users` means its id.

        Raises:
            InvalidInputError: the job has no target, or this is not an iterable of users.
        """
        return self._with(read_users(self._named_target("users(...)"), users))

    def all_enrollments(
        self,
        *,
        inactive_since: Since | None = None,
        exclude: Iterable[int | str | User] = (),
        form: Form = "hand_picked",
    ) -> ArchiveJob:
        """Return this job with all enrollments of its target that match its terms.

        `plan` reads the enrollments. A saved plan is not updated when users log in later.

        Args:
            inactive_since: only users whose last login is before this: a day (its midnight,
                UTC), an aware time, or how long ago. Users who never logged in are not included.
            exclude: ids and usernames to leave alone. If a name matches no enrolled user, but
                differs from one only in case, spaces or invisible characters, planning stops.
            form: `"select_all"` asks for the platform's select-all form, up to 10,000 enrollments
                a call (the limit of the platform's screen, assumed for the API), where it is
                confirmed and safe; elsewhere hand-picked chunks are sent, and the plan says why.

        Raises:
            InvalidInputError: the job has no target, or an argument cannot be used.
        """
        target = self._named_target("all_enrollments()")
        since = None if inactive_since is None else checked_since(inactive_since)
        return self._with(WholeTarget(target, since, read_exclusions(exclude), form))

    def _named_target(self, call: str) -> Target:
        if self.target is None:
            raise InvalidInputError(
                f"this job has no course or learning plan: call for_course(...).{call}"
            )
        return self.target

    def _with(self, part: Rows | WholeTarget | UserEnrollments) -> ArchiveJob:
        return evolve(self, selection=Selection((*self.selection.parts, part)))

    def __add__(self, other: ArchiveJob) -> ArchiveJob:
        """Return a job with the rows of both, this job's rows first.

        Raises:
            InvalidInputError: the jobs differ in mode, reset_tracking, only or include_staff.
        """
        if not isinstance(other, ArchiveJob):
            return NotImplemented
        if self.terms != other.terms:
            difference = self.terms.difference(other.terms)
            raise InvalidInputError(f"only jobs with equal terms can be added; {difference}")
        parts = (self.selection.parts, other.selection.parts)
        if not all(parts):
            raise InvalidInputError(
                "a job without a selection cannot be added: call .users(...) first"
            )
        return ArchiveJob(terms=self.terms, selection=Selection(parts[0] + parts[1]))

    def __radd__(self, other: int) -> ArchiveJob:
        """Support `sum(jobs)`, which begins with 0.

        Type checkers think that it may return 0, but not of `functools.reduce(operator.add, jobs)`.
        """
        return self if type(other) is int and other == 0 else NotImplemented

    @property
    def row_count(self) -> int | None:
        """The number of rows; None where only planning can determine it."""
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
        explain: bool = False,
        progress: bool = False,
    ) -> ArchivePlan:
        """Plan the job: decide what `apply` will do, by reading only.

        Args:
            client: the platform.
            on_shared: what to do where archive and unenroll concerns a learning plan that shares
                a course with another plan: `"skip"` its rows, `"fail"` the planning, or `"allow"`
                it and report the outcome of each course. According to Docebo's help, the platform
                does not proceed with those courses and plans. It also applies to two plans of an
                archive and re-enroll job that share a course for a user.
            skip_archived_within: in archive and re-enroll, skip users who were archived in the
                target less than this ago.
            explain: find out why rows have no enrollment to archive, which costs calls: the user
                is unknown, the enrollment has another status, was archived earlier, or was never
                made. The calls of `apply` are the same.
            progress: show a progress bar, where tqdm is installed (the extra `progress`), else
                write lines to stderr.

        Raises:
            InvalidInputError: the job has no selection, or `on_shared="fail"` applies.
            PermissionDeniedError: the job has learning plans, and the account is a Power User.
            UnconfirmedContractError: the platform lacks a list that the job needs.
            ApiError: a call failed.
        """
        if not self.selection.parts:
            raise InvalidInputError(
                "this job has no selection: add one with .users(...) or .all_enrollments()"
            )
        check_client(client)
        options = PlanOptions(on_shared, skip_archived_within, explain, progress)
        with plan_progress(client, shown=options.progress) as on_step:
            plan = ArchivePlan.of(*make_plan(self.terms, self.selection, client, options, on_step))
        client.session.keep_reading(plan)
        return plan
