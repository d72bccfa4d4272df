"""Check a client before its first job: login, role, contract and archived lists."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from attrs import field, frozen

from lms_archive.errors import ApiError, plural, printable
from lms_archive.records.active import Account
from lms_archive.records.archived import ArchivedRecord
from lms_archive.resources.account import known_account
from lms_archive.resources.archived import Archived
from lms_archive.resources.courses import Courses
from lms_archive.resources.learning_plans import LearningPlans
from lms_archive.wire.pages import Page
from lms_archive.wire.report import ContractReport
from lms_archive.wire.session import Session
from lms_archive.wire.verify import verify


@frozen(kw_only=True)
class ClientCheck:
    """The result of `client.check()`. `print` shows it as a short report.

    Attributes:
        platform: the address of the platform.
        account: the account that is logged in, or None where the platform does not say.
        contract: the check of the contract, or None where the login failed.
        archived_lists: for courses and learning plans, the result of reading an archived list.
        problems: what prevents a job, one text for each problem.
    """

    platform: str
    account: Account | None = None
    contract: ContractReport | None = field(default=None, repr=False)
    archived_lists: Mapping[str, str] = field(factory=dict, hash=False)
    problems: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether no problem was found that prevents a job."""
        return not self.problems

    def __str__(self) -> str:
        """Return the report, with the problems at the end."""
        lines = [self.platform]
        if self.contract is not None:
            account = self.account or Account()
            name = account.username or "the platform does not say who is logged in"
            user_id = "" if account.user_id is None else f" (id {account.user_id})"
            lines += [
                f"  login           {name}{user_id}",
                f"  role            {account.level or 'the platform does not say'}",
                f"  contract        {str(self.contract).partition(chr(10))[0]}",
                *(f"  archived list   {text}" for text in self.archived_lists.values()),
            ]
        lines.append(plural(len(self.problems), "problem") if self.problems else "no problems")
        return "\n".join(map(printable, [*lines, *(f"  - {text}" for text in self.problems)]))


def check(session: Session) -> ClientCheck:
    """Check what a job needs; only read, and report errors of the platform as problems."""
    platform = session.settings.base_url
    try:
        account = known_account(session)
        report = verify(session)
    except ApiError as error:
        return ClientCheck(platform=platform, problems=(str(error),))
    problems = []
    if account is not None and account.is_power_user:
        problems.append(
            "the account is a Power User: it cannot archive in learning plans or delete archived "
            "enrollments, and needs a permission to archive in courses; a Superadmin needs none"
        )
    open_rows = [
        f"{row.operation} ({row.state.replace('_', ' ')})"
        for row in report
        if row.is_needed and row.operation.startswith("archive_") and row.state != "confirmed"
    ]  # jobs delete no records
    if open_rows:
        problems.append(
            f"not confirmed by the platform's swagger: {', '.join(open_rows)}; "
            "print(client.verify_contract()) shows what to do"
        )
    archived_lists = {}
    for kind in ("course", "learning plan"):
        archived_lists[kind], failure = _read_archived_list(session, kind)
        if failure is not None:
            problems.append(f"the archived list of a {kind} cannot be read: {failure}")
    return ClientCheck(
        platform=platform,
        account=account,
        contract=report,
        archived_lists=archived_lists,
        problems=tuple(problems),
    )


def _read_archived_list(session: Session, kind: str) -> tuple[str, ApiError | None]:
    """Read a page of the archived list of the first course or learning plan."""
    archived = Archived(session)
    if kind == "course":
        ids = (course.course_id for course in Courses(session).list())
        pages: Callable[[int], Iterator[Page[ArchivedRecord]]] = archived.pages_in_course
    else:
        ids = (plan.learning_plan_id for plan in LearningPlans(session).list())
        pages = archived.pages_in_learning_plan
    try:
        target_id = next(ids, None)
        if target_id is None:
            return f"{kind}: not checked; the platform has no {kind}", None
        page = next(pages(target_id))
    except ApiError as error:
        return f"{kind}: cannot be read", error
    if page.total is None:
        return f"{kind} {target_id}: can be read", None
    return f"{kind} {target_id}: {plural(page.total, 'record')}", None
