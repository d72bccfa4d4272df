"""The archive calls, and the lists of what they archived (paths and keys: assumed)."""

import json
from typing import Any

from lms_archive.sandbox.archiving import Order, archive, update
from lms_archive.sandbox.ask import Ask
from lms_archive.sandbox.clock import micros
from lms_archive.sandbox.freezing import RETURNED
from lms_archive.sandbox.jobs import begin_job
from lms_archive.sandbox.kinds import COURSE, Enrollment, Kind, find
from lms_archive.sandbox.listing import Select, listing
from lms_archive.sandbox.refusal import Refusal, invalid

#: Enrollments in one call: limits of the screen (article), assumed for the API.
HAND_PICKED = 200
SELECT_ALL = 10_000
_LAG = frozenset({"archived_lag"})
_NO_POWER_USERS = (
    "Power Users cannot archive learning plan enrollments, "
    "nor delete archived learning plan enrollments."
)


def archive_enrollments(kind: Kind, ask: Ask) -> dict[str, Any]:
    """Answer the archive call of courses or of a plan.

    Without `enrollment_mode` it is the plain "update multiple" (2017; of plans by analogy) that
    archives nothing. One enrollment is done at once, from two on it is a background job (article).
    """
    foreign, mode = ask.settings.foreign, ask.args["enrollment_mode"]
    if foreign.effect == "unenrolls":
        mode = mode or "delete"
    if foreign.effect == "updates":
        for one in _selected(kind, ask):
            update(ask.db, one, ask.now)
    if mode is None or foreign.effect in ("updates", "nothing"):
        return _answer(success=True)
    if kind is not COURSE and ask.account.is_power_user:
        raise Refusal(403, _NO_POWER_USERS)
    if not ask.account.may_archive:
        raise Refusal(403, "You are not allowed to archive enrollments.")
    enrollments = _selected(kind, ask)
    fault = ask.faults.later(_LAG, ask.operation, ask.method, ask.now).get("archived_lag")
    lag = fault["seconds"] if fault else foreign.archived_lag
    order = Order(
        ask.account.user_id,
        mode,
        ask.args["reset_tracking"],
        ask.settings,
        lag=round(lag * 1_000_000) if lag else None,
    )
    if len(enrollments) > 1:
        return _answer(success=True, job=begin_job(ask, order, enrollments))
    return _answer(success=any(archive(ask.db, order, one, ask.now) for one in enrollments))


def _selected(kind: Kind, ask: Ask) -> list[Enrollment]:
    targets, users = ask.args[kind.column], ask.args[kind.users]
    if kind is not COURSE:
        targets = [find(kind, ask)[kind.key]]
    if not targets:
        raise invalid(kind.column, f"{kind.column} cannot be blank")
    if ask.args["select_all"]:
        if users:
            raise invalid(kind.users, f"{kind.users} cannot be given with select_all")
        return _all(kind, ask, targets)
    if not users:
        raise invalid(kind.users, f"{kind.users} cannot be blank")
    if len(targets) * len(users) > HAND_PICKED:
        raise invalid(kind.users, f"at most {HAND_PICKED} enrollments can be archived at a time")
    once = dict.fromkeys(users)
    return [Enrollment(kind, target, user) for target in dict.fromkeys(targets) for user in once]


def _all(kind: Kind, ask: Ask, targets: list[int]) -> list[Enrollment]:
    """Return what the filters let through: of more than 10,000 the first ones (assumed)."""
    select = Select(f"{kind.column}, user_id", kind.enrollments, f"{kind.column}, user_id")
    select.where_in(kind.column, targets)
    filters = ask.args["filters"]
    if filters and not ask.settings.ignores_filters:
        select.where_in("enrollment_status", filters["enrollment_status"])
    return [Enrollment(kind, *row) for row in select.rows(ask, page=1, size=SELECT_ALL)]


def _answer(*, success: bool, job: str | None = None) -> dict[str, Any]:
    return {"success": success, "background_job": job is not None, "job_id": job}


def archived_enrollments(kind: Kind, ask: Ask) -> dict[str, Any]:
    """Answer `GET .../enrollments/archived` of a course or plan, oldest first.

    The filters are those of the screen (article). A date without a time counts from its
    first second as `archived_from`, to its last as `archived_to`.
    """
    select = Select(RETURNED[kind], kind.archived, "id")
    select.where(f"{kind.column} = ?", find(kind, ask)[kind.key])
    select.where("(hidden_until IS NULL OR hidden_until <= ?)", micros(ask.now))
    if start := ask.args["archived_from"]:
        select.where("archived_at >= ?", start)
    if end := ask.args["archived_to"]:
        select.where("archived_at <= ?", f"{end[:10]} {end[11:] or '23:59:59'}")
    if status := ask.args["user_status"]:
        select.where("user_is_active = ?", status == "1")
    select.where_in("archived_by", ask.args["archived_by[]"])
    select.where_in("user_id", ask.args["user_id[]"])
    return listing(ask, select)


def delete_archived_enrollments(kind: Kind, ask: Ask) -> dict[str, Any]:
    """Answer `DELETE` on the archived list; Power Users may not (article)."""
    if ask.account.is_power_user:
        refused = "You are not allowed to delete archived enrollments."
        raise Refusal(403, refused if kind is COURSE else _NO_POWER_USERS)
    target_id = find(kind, ask)[kind.key]
    ids = ask.args["ids"]
    if not ids:
        raise invalid("ids", "ids cannot be blank")
    deleted = ask.db.execute(
        f"DELETE FROM {kind.archived} "  # noqa: S608  # own names
        f"WHERE {kind.column} = ? AND id IN (SELECT value FROM json_each(?))",
        [target_id, json.dumps(ids)],
    ).rowcount
    return {"success": deleted > 0, "deleted": deleted}
