"""What a checker must refuse: each line carries the fault that it is. Checked, never run."""

from collections.abc import Iterator

from lms_archive import ArchiveJob, ArchivePlan, ArchiveResult, Client, Limits
from lms_archive.archive import RunEvent

# reset_tracking is a decision, and so is the mode
ArchiveJob.from_csv("a.csv", mode="unenroll")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
ArchiveJob.from_csv("a.csv", reset_tracking=False)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


def refused(plan: ArchivePlan, client: Client, result: ArchiveResult) -> None:
    """The ledger is required, values are frozen, options are spelt right, a record has a kind."""
    plan.apply(client)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    plan.apply("client", ledger="a.sqlite")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    plan.warnings = ()  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]
    client.with_options(time_out=5)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    Client.from_env(call_per_hour=5)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    Limits(200)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    for record in result.records:
        _ = record.course  # type: ignore[union-attr]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType, reportUnknownVariableType]


def listens(event: RunEvent) -> bool:
    """A kind of event is spelt right."""
    return event.kind == "setled"  # type: ignore[comparison-overlap]  # pyright: ignore[reportUnnecessaryComparison]


def misspelt(client: Client) -> None:
    """Options, words and kinds of answers are known to the checker."""
    client.with_options(timout=5)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    client.with_options(base_url="https://b.example")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    Client.from_env(calls_an_hour=100)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    Client.from_env(timeout="5")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    client.request("GET", "/x", raw="yes")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
    client.enrollments.in_course("SAFE", status="complete")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    client.enrollments.in_course("SAFE", status=["completed", "in progress"])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]
    client.archived.in_course("SAFE", user_status="active")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    client.archived.pages_in_course("SAFE", archived_form=None)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


def misspelt_words(client: Client, plan: ArchivePlan, result: ArchiveResult) -> Iterator[object]:
    """Modes, statuses, forms, kinds, codes and counts are known to the checker too."""
    ArchiveJob.for_course("SAFE", mode="unenrol", reset_tracking=False)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    job = ArchiveJob.for_course("SAFE", mode="unenroll", reset_tracking=False)
    ArchiveJob.for_course("SAFE", mode="unenroll", reset_tracking=False, only="complete")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    job.all_enrollments(form="selectall")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    job.plan(client, on_shared="ignore")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    job.plan(client, progres=True)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    yield result.counts["archved"]  # type: ignore[index]  # pyright: ignore[reportArgumentType]
    yield plan.counts["archived"]  # type: ignore[index]  # pyright: ignore[reportArgumentType]
    for chunk in plan.chunks:
        yield chunk.form == "selectall"  # type: ignore[comparison-overlap]  # pyright: ignore[reportUnnecessaryComparison]
        yield chunk.target.kind == "plan"  # type: ignore[comparison-overlap]  # pyright: ignore[reportUnnecessaryComparison]
    for outcome in result.outcomes:
        yield outcome.kind == "error"  # type: ignore[comparison-overlap]  # pyright: ignore[reportUnnecessaryComparison]
        yield outcome.code == "not_enroled"  # type: ignore[comparison-overlap]  # pyright: ignore[reportUnnecessaryComparison]
        for course in outcome.courses:
            yield course.status == "archved"  # type: ignore[comparison-overlap]  # pyright: ignore[reportUnnecessaryComparison]


def counts(event: RunEvent) -> int:
    """So are the counts of an event, and the outcomes that it is about."""
    return event.outcomes["faild"]  # type: ignore[index]  # pyright: ignore[reportArgumentType]
