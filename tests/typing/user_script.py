"""A user's script, from the CSV to the outcome. Checked by mypy and pyright, never run."""

from datetime import timedelta
from pathlib import Path

from typing_extensions import assert_type

from lms_archive import (
    ArchiveJob,
    ArchivePlan,
    ArchiveResult,
    Client,
    Limits,
    LmsArchiveError,
    Outcome,
    PasswordGrant,
    RetryPolicy,
    RunStoppedError,
    resume,
)

with Client(
    "https://acme.example.com",
    PasswordGrant("id", "secret", "name", "password"),
    limits=Limits(hand_picked=100),
    timeout=30,
    retry=RetryPolicy(attempts=3),
    calls_per_hour=None,
) as client:
    assert_type(client, Client)
    assert_type(client.with_options(timeout=(5, 60)), Client)

job = ArchiveJob.from_csv("inactive.csv", mode="unenroll", reset_tracking=False)
job += ArchiveJob.for_course("SAFE", mode="unenroll", reset_tracking=False).users([12, "ada"])
plan = job.plan(client, on_shared="skip", skip_archived_within=timedelta(days=7))
assert_type(plan, ArchivePlan)
assert_type(plan.counts["to_archive"], int)
assert_type(plan.duration, timedelta)
plan.save("plan.json")

try:
    result = ArchivePlan.load(Path("plan.json")).apply(client, ledger="inactive.sqlite")
except RunStoppedError as stopped:
    assert_type(stopped.counts, dict[str, int])
    assert_type(stopped.seen, tuple[str, ...])
    raise
except LmsArchiveError as error:
    if error.ledger is None:
        raise
    result = resume(error.ledger, client, max_affected=5_000)
assert_type(result, ArchiveResult)

for outcome in result.failed:
    assert_type(outcome, Outcome)
    assert_type(outcome.line, int | None)
    assert_type(outcome.reason, str)
assert_type(len(result.unknown), int)
assert_type(sum(result.counts.values()), int)
result.to_csv("outcome.csv")
assert_type(result.save_certificates("pdf").saved, tuple[Path, ...])
