"""Platforms that are not as the contract says: known before the first write, or after one."""

from collections.abc import Callable
from typing import Any

import pytest
from plan_tools import in_both_modes, load_plans, rows
from virtual_time import ENROLLED_AT, WRITE, Harness

from lms_archive import (
    ArchiveJob,
    ArchiveResult,
    Contract,
    Limits,
    RunStoppedError,
    resume,
)
from lms_archive.errors import CanaryFailedError, UnconfirmedContractError
from lms_archive.sandbox import PlatformVariant

PLAN_WRITE = "archive_learning_plan_enrollments"
LISTED, ARCHIVED = "course_enrollments", "archived_course_enrollments"
USERS = (1001, 1002, 1003)
UPDATE = "PUT /learn/v1/enrollments Update enrollments"
PLAN_UPDATE = "PUT /learningplan/v1/learningplans/{learning_plan_id}/enrollments Update enrollments"
#: A plain bulk call at the very paths where the contract expects the archive calls.
PLAIN: dict[str, Any] = {
    "calls": {WRITE: UPDATE, PLAN_WRITE: PLAN_UPDATE},
    "parameters": {
        call: {"enrollment_mode": None, "reset_tracking": None} for call in (WRITE, PLAN_WRITE)
    },
}
#: Platforms whose swagger shows what they call it, and the call that must be named.
SUGGESTED = {
    "other keys": (
        PlatformVariant(parameters={WRITE: {"course_id": "courseIds", "user_id": "users"}}),
        "PUT /learn/v1/enrollments",
    ),
    "in the query": (
        PlatformVariant(
            calls={WRITE: "POST /course/v1/enrollments/archive"},
            parameters={
                WRITE: {
                    "course_id": "query course_ids[]",
                    "user_id": "query user_ids[]",
                    "enrollment_mode": "query enrollment_mode",
                    "reset_tracking": "query reset_tracking",
                }
            },
        ),
        "POST /course/v1/enrollments/archive",
    ),
    "other modes": (
        PlatformVariant(
            modes={"delete": "archive_and_unenroll", "re_enroll": "archive_and_re_enroll"}
        ),
        "PUT /learn/v1/enrollments",
    ),
    "everything": (
        PlatformVariant(
            calls={WRITE: "POST /enrollment/v1/courses/archive Archive enrollments"},
            parameters={
                WRITE: {
                    "course_id": "id_course",
                    "user_id": "id_users",
                    "enrollment_mode": "archive_mode",
                }
            },
            modes={"delete": "unenroll"},
            answers={WRITE: {"data": None}},
        ),
        "POST /enrollment/v1/courses/archive",
    ),
}
#: What platforms do to the one that is sent, instead of archiving it.
HARMFUL = ("updates", "nothing", "unenrolls")
#: Those that do so at the very paths of the archive calls, without a swagger: it takes trust.
SILENT: dict[str, PlatformVariant] = {
    name: PlatformVariant(effect=name, swagger="missing", **PLAIN)  # type: ignore[arg-type]
    for name in HARMFUL
}

OnPlatform = Callable[..., Harness]


@pytest.fixture
def on_platform(make_harness: Callable[..., Harness]) -> OnPlatform:
    """Make platforms that differ: five users in course 1, or in plan 50 of courses 1 and 2."""

    def make(variant: PlatformVariant, *, plans: bool = False, job_seconds: float = 3) -> Harness:
        harness = make_harness(variant=variant, job_seconds=job_seconds)
        if plans:
            load_plans(harness, {50: [1, 2]}, users=5)
        else:
            harness.load(5)
        return harness

    return make


def job(mode: Any = "unenroll", *, plans: bool = False, reset_tracking: bool = False) -> ArchiveJob:
    """Archive three of the five."""
    asked = rows(USERS, plans=[50]) if plans else rows(USERS, courses=[1])
    return ArchiveJob.from_rows(asked, mode=mode, reset_tracking=reset_tracking)


def use_suggestion(harness: Harness) -> None:
    """Go on with the contract that the platform's swagger suggests."""
    contract = harness.client.verify_contract().suggested_contract()
    harness.client = harness.client.with_options(contract=contract)


def state(harness: Harness) -> dict[str, dict[tuple[Any, ...], tuple[Any, ...]]]:
    """Every active enrollment in courses and plans, by target and user."""
    tables = {"enrollments": "course_id", "learning_plan_enrollments": "learning_plan_id"}
    return {
        table: {row[:2]: row for row in harness.sql(f"SELECT {key}, user_id, * FROM {table}")}
        for table, key in tables.items()
    }


def touched(
    harness: Harness, before: dict[str, dict[tuple[Any, ...], tuple[Any, ...]]], table: str
) -> int:
    """How many active enrollments are not as before."""
    now = state(harness)[table]
    assert set(now) <= set(before[table])
    return sum(now.get(key) != row for key, row in before[table].items())


def sends(harness: Harness) -> int:
    """How many archive calls reached the platform."""
    return sum(call in (WRITE, PLAN_WRITE) for call in harness.operations)


def check(harness: Harness, result: ArchiveResult, mode: str = "unenroll") -> None:
    """The three are archived once each, and gone or enrolled again; the other two as they were."""
    assert result.counts == {"archived": 3, "skipped": 0, "failed": 0, "unknown": 0}
    assert dict(harness.archived) == {(1, user): 1 for user in USERS}
    dates = dict(harness.sql("SELECT user_id, enrollment_created_at FROM enrollments"))
    assert set(dates) == {1004, 1005, *(USERS if mode == "re-enroll" else ())}
    assert {user for user, date in dates.items() if date == ENROLLED_AT} == {1004, 1005}
    numbers = dict(harness.sql("SELECT user_id, id FROM archived_enrollments"))
    assert [
        outcome.record and outcome.record.archiving.record_id for outcome in result.outcomes
    ] == [numbers[user] for user in USERS]


# Another contract


@pytest.mark.parametrize("name", SUGGESTED)
def test_an_unconfirmed_call_is_refused_and_the_suggested_contract_is_enough(
    on_platform: OnPlatform, name: str
) -> None:
    """The plan warns, apply names the candidate before there is a ledger; then the job runs."""
    foreign, nearest = SUGGESTED[name]
    harness = on_platform(foreign)
    plan = job().plan(harness.client)
    assert any(WRITE in text for text in plan.warnings)
    with pytest.raises(UnconfirmedContractError) as stopped:
        harness.apply(plan)
    assert nearest in str(stopped.value)
    assert f'.with_operation(\n            "{WRITE}"' in str(stopped.value) or "modes" in name
    assert sends(harness) == 0
    assert not harness.ledger.exists()
    assert len(harness.active) == 5
    use_suggestion(harness)
    check(harness, harness.apply(job().plan(harness.client)))
    assert sends(harness) == 2


def test_a_moved_call_of_learning_plans_is_refused_named_and_used(on_platform: OnPlatform) -> None:
    """A plan's archive call under another path, its id in the body, is refused, named and used."""
    call = "POST /enrollment/v1/learningplans/archive"
    harness = on_platform(
        PlatformVariant(
            calls={PLAN_WRITE: call},
            parameters={PLAN_WRITE: {"learning_plan_id": "body learning_plan_id"}},
        ),
        plans=True,
    )
    plan = job(plans=True).plan(harness.client)
    with pytest.raises(UnconfirmedContractError, match=call):
        harness.apply(plan)
    assert sends(harness) == 0
    use_suggestion(harness)
    result = harness.apply(job(plans=True).plan(harness.client))
    assert result.counts == {"archived": 3, "skipped": 0, "failed": 0, "unknown": 0}
    query = "SELECT learning_plan_id, user_id FROM archived_learning_plan_enrollments"
    assert harness.sql(query) == [(50, user) for user in USERS]
    assert dict(harness.archived) == {(course, user): 1 for user in USERS for course in (1, 2)}


# What no swagger says


def test_the_name_of_the_job_is_in_the_contract(on_platform: OnPlatform) -> None:
    """Where the answer names its job is data in the contract; without it, reading back decides."""
    harness = on_platform(
        PlatformVariant(answers={WRITE: {"data.job_id": "data.background_job_id"}})
    )
    contract = Contract.default().with_operation(WRITE, answer={"job_id": "data.background_job_id"})
    harness.client = harness.client.with_options(contract=contract)
    check(harness, harness.apply(job().plan(harness.client)))
    assert "get_job" not in harness.operations  # it was seen in the listing, by its name
    assert sends(harness) == 2


UNNAMED: dict[str, dict[str, str | None]] = {
    "named otherwise": {"data.job_id": "data.background_job_id"},
    "only that there is one": {"data.job_id": None},
    "empty": {"data": None},
}


@pytest.mark.parametrize("name", UNNAMED)
@in_both_modes
@pytest.mark.parametrize(("seconds", "late"), [(0.5, 0), (90, 0), (3, 45)])
def test_a_job_that_is_not_named_is_found_among_those_begun_since(
    on_platform: OnPlatform, name: str, mode: str, seconds: float, late: float
) -> None:
    """Quick, slow or listed only after a while, it is awaited, and nothing is sent twice."""
    harness = on_platform(PlatformVariant(answers={WRITE: UNNAMED[name]}), job_seconds=seconds)
    harness.sandbox.faults.add("job_late", seconds=late)
    check(harness, harness.apply(job(mode).plan(harness.client)), mode)
    assert sends(harness) == 2


def test_keys_of_the_lists_are_overrides(on_platform: OnPlatform) -> None:
    """Keys of the lists are overrides: the same job, the same truth."""
    moved = {"user_id": "id_user", "enrollment_created_at": "subscribed_on"}
    keys = {f"data.items.{old}": f"data.items.{new}" for old, new in moved.items()}
    harness = on_platform(
        PlatformVariant(
            answers={
                LISTED: {**keys, "data.items": "data.rows"},
                ARCHIVED: {**keys, "data.items.archived_at": "data.items.put_away_on"},
            }
        )
    )
    contract = (
        Contract.default()
        .with_operation(LISTED, answer={"items": "data.rows"})
        .with_record("CourseEnrollment", user_id="id_user", enrolled_at="subscribed_on")
        .with_record(
            "ArchivedCourseEnrollment",
            **{
                "user.user_id": "id_user",
                "enrollment.enrolled_at": "subscribed_on",
                "archiving.archived_at": "put_away_on",
            },
        )
    )
    harness.client = harness.client.with_options(contract=contract)
    check(harness, harness.apply(job().plan(harness.client)))


def test_a_moved_archived_list_is_named_and_its_override_is_enough(on_platform: OnPlatform) -> None:
    """Without the archived list nothing is sent; its candidate is named, and is enough."""
    call = "GET /course/v1/courses/{id}/archived_enrollments"
    harness = on_platform(
        PlatformVariant(calls={ARCHIVED: call}, parameters={ARCHIVED: {"course_id": "id"}})
    )
    plan = job().plan(harness.client)
    assert any(f"{ARCHIVED} is not listed" in text for text in plan.warnings)
    with pytest.raises(UnconfirmedContractError, match="archived_enrollments"):
        harness.apply(plan, trust_contract=True)
    assert sends(harness) == 0
    use_suggestion(harness)
    check(harness, harness.apply(job().plan(harness.client)))


def test_without_the_listing_of_jobs_nothing_is_sent(on_platform: OnPlatform) -> None:
    """Without it no job could be awaited: nothing is sent, and the error names it."""
    harness = on_platform(PlatformVariant(calls={"list_jobs": None}))
    plan = job().plan(harness.client)
    with pytest.raises(UnconfirmedContractError, match="list_jobs"):
        harness.apply(plan)
    assert harness.writes == []


def test_usernames_are_found_where_the_course_list_has_none(on_platform: OnPlatform) -> None:
    """Rows that name users by username are found by the users' own list."""
    harness = on_platform(PlatformVariant(answers={LISTED: {"data.items.username": None}}))
    named = [{"course_code": "C1", "username": f"u{user}"} for user in USERS]
    asked = ArchiveJob.from_rows(named, mode="unenroll", reset_tracking=False)
    result = harness.apply(asked.plan(harness.client))
    check(harness, result)
    assert [outcome.user for outcome in result.outcomes] == [f"u{user}" for user in USERS]


# Something else than was asked


@in_both_modes
def test_a_call_without_a_mode_is_refused(on_platform: OnPlatform, mode: str) -> None:
    """A bulk call that is described without enrollment_mode archives nothing, trusted or not."""
    harness = on_platform(PlatformVariant(effect="updates", **PLAIN))
    before, plan = state(harness), job(mode).plan(harness.client)
    assert any("trust_contract=True cannot override this" in text for text in plan.warnings)
    for trust in (False, True):
        with pytest.raises(
            UnconfirmedContractError, match="enrollment_mode, reset_tracking are not in its body"
        ):
            harness.apply(plan, trust_contract=trust)
    assert sends(harness) == 0
    assert state(harness) == before


@pytest.mark.parametrize("described", [False, True], ids=["trusted", "described"])
@pytest.mark.parametrize("name", HARMFUL)
@in_both_modes
def test_a_wrong_call_touches_one_enrollment(
    on_platform: OnPlatform, name: Any, mode: str, *, described: bool
) -> None:
    """The canary stops it, whether the call was trusted or the swagger describes the mode."""
    harness = on_platform(PlatformVariant(effect=name) if described else SILENT[name])
    before, plan = state(harness), job(mode).plan(harness.client)
    with pytest.raises(CanaryFailedError, match="1001 in course 1: ") as stopped:
        harness.apply(plan, trust_contract=not described)
    assert stopped.value.ledger == harness.ledger
    look_at = "only unenrolls" if name == "unenrolls" else "names enrollment_mode"
    assert described or look_at in str(stopped.value)
    assert touched(harness, before, "enrollments") == (0 if name == "nothing" else 1)
    assert sends(harness) == 1
    assert not harness.archived


@in_both_modes
def test_resume_sends_no_second_canary(on_platform: OnPlatform, mode: str) -> None:
    """As long as the canary's record is not seen, resuming looks again and sends nothing."""
    harness = on_platform(SILENT["unenrolls"])
    before, plan = state(harness), job(mode).plan(harness.client)
    with pytest.raises(CanaryFailedError):
        harness.apply(plan, trust_contract=True)
    for _ in range(2):
        harness.time.sleep(3600)
        with pytest.raises(CanaryFailedError, match="no archived record"):
            resume(harness.ledger, harness.client, trust_contract=True)
    assert touched(harness, before, "enrollments") == 1
    assert sends(harness) == 1


@pytest.mark.parametrize("name", HARMFUL)
@in_both_modes
def test_a_trusted_wrong_call_touches_one_enrollment_of_a_plan(
    on_platform: OnPlatform, name: str, mode: Any
) -> None:
    """One enrollment of the plan, with those in its courses, is all that can be touched."""
    harness = on_platform(SILENT[name], plans=True)
    before, plan = state(harness), job(mode, plans=True).plan(harness.client)
    with pytest.raises(CanaryFailedError):
        harness.apply(plan, trust_contract=True)
    assert touched(harness, before, "learning_plan_enrollments") == (name != "nothing")
    assert touched(harness, before, "enrollments") == (2 if name == "unenrolls" else 0)
    assert sends(harness) == 1


#: A platform, options of the run, whether the tracking is to be reset, and what the error says.
NOT_AS_REQUESTED: dict[str, tuple[PlatformVariant, dict[str, Any], bool, str]] = {
    "the old date": (PlatformVariant(keeps_date=True), {}, False, "check the enrollment date"),
    "the old date, without a canary": (
        PlatformVariant(keeps_date=True),
        {"canary": 0},
        False,
        "no row of the first chunk .* was archived as requested",
    ),
    "the old tracking": (
        PlatformVariant(parameters={WRITE: {"reset_tracking": None}}, swagger="missing"),
        {"trust_contract": True},
        True,
        "the tracking was not reset",
    ),
}


@pytest.mark.parametrize("name", NOT_AS_REQUESTED)
def test_a_new_enrollment_that_is_not_as_requested_stops_the_job(
    on_platform: OnPlatform, name: str
) -> None:
    """The first call, the canary or a whole chunk, is the last one."""
    foreign, options, reset, message = NOT_AS_REQUESTED[name]
    harness = on_platform(foreign)
    harness.client = harness.connect(limits=Limits(hand_picked=2))
    plan = job("re-enroll", reset_tracking=reset).plan(harness.client)
    with pytest.raises(RunStoppedError, match=message) as stopped:
        harness.apply(plan, **options)
    assert isinstance(stopped.value, CanaryFailedError) == ("canary" not in options)
    assert max(harness.archived.values()) == 1
    assert sends(harness) == 1


def test_a_kept_date_does_not_matter_to_unenroll(on_platform: OnPlatform) -> None:
    """To unenroll on such a platform is as safe as on any other."""
    harness = on_platform(PlatformVariant(keeps_date=True))
    check(harness, harness.apply(job().plan(harness.client)))


# An archived list that lags


@in_both_modes
@pytest.mark.parametrize("seconds", [1, 59])
def test_a_record_is_looked_for_over_a_minute(
    on_platform: OnPlatform, mode: str, seconds: float
) -> None:
    """The record is looked for until it is there."""
    harness = on_platform(PlatformVariant(archived_lag=seconds))
    check(harness, harness.apply(job(mode).plan(harness.client)), mode)
    assert sends(harness) == 2


@in_both_modes
def test_a_record_that_lags_for_minutes_stops_the_job_and_is_found_later(
    on_platform: OnPlatform, mode: str
) -> None:
    """Unseen for a minute it is unknown and stops the job; later it is archived, never sent twice.

    Until it is seen nothing else is sent.
    """
    harness = on_platform(PlatformVariant(archived_lag=200))
    with pytest.raises(CanaryFailedError) as stopped:
        harness.apply(job(mode).plan(harness.client))
    assert stopped.value.counts["unknown"] == 1
    resumed = None
    for _ in range(20):
        harness.time.sleep(20)
        try:
            resumed = resume(harness.ledger, harness.client)
        except CanaryFailedError as again:
            assert again.counts["archived"] == sends(harness) - 1  # noqa: PT017  one at a time
        else:
            break
    assert resumed is not None
    check(harness, resumed, mode)
    assert [users for _, users in harness.writes] == [[user] for user in USERS]
