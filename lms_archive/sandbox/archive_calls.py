"""Answer the archive calls, and list and delete archived records; paths and keys are assumed."""

from __future__ import annotations

import json
from typing import Any

from lms_archive.sandbox.answers import Refusal, invalid
from lms_archive.sandbox.archive_records import RETURNED
from lms_archive.sandbox.archive_rules import Order, archive, touch
from lms_archive.sandbox.clock import micros
from lms_archive.sandbox.jobs import begin_job
from lms_archive.sandbox.pages import Select, read_page
from lms_archive.sandbox.request import ApiRequest
from lms_archive.sandbox.targets import COURSE, Enrollment, TargetKind, find

HAND_PICKED = 200
SELECT_ALL = 10_000
"""Enrollments in one call: limits of the screen, assumed for the API."""
_NO_POWER_USERS = (
    "Power Users cannot archive learning plan enrollments, "
    "nor delete archived learning plan enrollments."
)


def archive_enrollments(kind: TargetKind, request: ApiRequest) -> dict[str, Any]:
    """Answer the archive call of courses or of a plan.

    Without `enrollment_mode` it is the plain "update multiple" (2017; for plans by analogy) that
    archives nothing. One enrollment is archived immediately; two or more are a background job
    (article).
    """
    variant, mode = request.settings.variant, request.args["enrollment_mode"]
    if variant.effect == "unenrolls":
        mode = mode or "delete"
    if variant.effect == "updates":
        for enrollment in _selected(kind, request):
            touch(request.db, enrollment, request.now)
    if mode is None or variant.effect in ("updates", "nothing"):
        return _result(success=True)
    if kind is not COURSE and request.account.is_power_user:
        raise Refusal(403, _NO_POWER_USERS)
    if not request.account.may_archive:
        raise Refusal(403, "You are not allowed to archive enrollments.")
    enrollments = _selected(kind, request)
    fault = request.faults_of_work("archived_lag").get("archived_lag", {})
    lag = fault.get("seconds", variant.archived_lag)
    order = Order(
        request.account.user_id,
        mode,
        request.args["reset_tracking"],
        request.settings,
        lag=round(lag * 1_000_000) if lag else None,
    )
    if len(enrollments) > 1:
        return _result(success=True, job=begin_job(request, order, enrollments))
    return _result(success=any(archive(request.db, order, e, request.now) for e in enrollments))


def _selected(kind: TargetKind, request: ApiRequest) -> list[Enrollment]:
    targets, users = request.args[kind.column], request.args[kind.users]
    if kind is not COURSE:
        targets = [find(kind, request)[kind.key]]
    if not targets:
        raise invalid(kind.column, f"{kind.column} cannot be blank")
    if request.args["select_all"]:
        if users:
            raise invalid(kind.users, f"{kind.users} cannot be used with select_all")
        return _filtered(kind, request, targets)
    if not users:
        raise invalid(kind.users, f"{kind.users} cannot be blank")
    if len(targets) * len(users) > HAND_PICKED:
        raise invalid(kind.users, f"at most {HAND_PICKED} enrollments can be archived at a time")
    distinct = dict.fromkeys(users)
    return [Enrollment(kind, t, user) for t in dict.fromkeys(targets) for user in distinct]


def _filtered(kind: TargetKind, request: ApiRequest, targets: list[int]) -> list[Enrollment]:
    """Return the enrollments that match the filters: at most the first 10,000 (an assumption)."""
    select = Select(f"{kind.column}, user_id", kind.enrollments, f"{kind.column}, user_id")
    select.where_in(kind.column, targets)
    if filters := request.list_filter("filters"):
        select.where_in("enrollment_status", filters["enrollment_status"])
    return [Enrollment(kind, *row) for row in select.rows(request, page=1, size=SELECT_ALL)]


def _result(*, success: bool, job: str | None = None) -> dict[str, Any]:
    return {"success": success, "background_job": job is not None, "job_id": job}


def archived_enrollments(kind: TargetKind, request: ApiRequest) -> dict[str, Any]:
    """Answer `GET .../enrollments/archived` of a course or plan, oldest first.

    The filters are those of the screen (article). A date without a time means its first second
    in `archived_from`, and its last in `archived_to`.
    """
    select = Select(RETURNED[kind], kind.archived, "id")
    select.where(f"{kind.column} = ?", find(kind, request)[kind.key])
    select.where("(hidden_until IS NULL OR hidden_until <= ?)", micros(request.now))
    if start := request.list_filter("archived_from"):
        select.where("archived_at >= ?", start)
    if end := request.list_filter("archived_to"):
        select.where("archived_at <= ?", f"{end[:10]} {end[11:] or '23:59:59'}")
    if status := request.list_filter("user_status"):
        select.where("user_is_active = ?", status == "1")
    select.where_in("archived_by", request.list_filter("archived_by[]"))
    select.where_in("user_id", request.list_filter("user_id[]"))
    return read_page(request, select)


def delete_archived_enrollments(kind: TargetKind, request: ApiRequest) -> dict[str, Any]:
    """Answer `DELETE` on the archived list; Power Users may not."""
    if request.account.is_power_user:
        refused = "You are not allowed to delete archived enrollments."
        raise Refusal(403, refused if kind is COURSE else _NO_POWER_USERS)
    target_id = find(kind, request)[kind.key]
    ids = request.args["ids"]
    if not ids:
        raise invalid("ids", "ids cannot be blank")
    deleted = request.db.execute(
        f"DELETE FROM {kind.archived} "  # noqa: S608  own names
        f"WHERE {kind.column} = ? AND id IN (SELECT value FROM json_each(?))",
        [target_id, json.dumps(ids)],
    ).rowcount
    return {"success": deleted > 0, "deleted": deleted}
