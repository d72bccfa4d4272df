"""Which of a platform's operations may be the one looked for: proposals, never used by themselves.

The threshold is high on purpose. A plain unenroll, a search in the archive, or another product's
archive must not be named: an override pasted in good faith would send enrollments there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from attrs import field, frozen

from lms_archive.wire.contract import Contract
from lms_archive.wire.described import Described, Parameter
from lms_archive.wire.overriding import changes_for
from lms_archive.wire.wording import RESET, is_mode, like, meaning, squashed, target_of, tokens

__all__ = ["Nearest", "nearest"]

_MOST = 3
_ENOUGH = 7
_GONE = {"unarchive", "unarchived", "dearchive", "restore", "restored", "undo"}
_ASIDE = _GONE | {
    *("export", "exports", "download", "downloads", "import", "imports", "search", "query"),
    *("report", "reports", "count", "counts", "preview", "settings", "setting", "fields"),
    *("certificate", "certificates", "statistics", "stats", "schedule", "notify", "check"),
}
_DELETING = {"delete", "deletes", "deletion", "remove", "purge", "destroy", "erase"}
_ARCHIVE = {"archive", "archives", "archiving"}
_MANNER = {"bulk", "batch", "multiple", "all", "async", "users", "user", "course", "and", "or"}
_ARCHIVED = {"archive", "archives", "archived"}
_FILTERS = {"archivedfrom", "archivedto", "archivedby"}
_PAGED = {"page", "pagesize", "limit", "cursor", "offset", "perpage"} | _FILTERS
_TAIL = r"/(?:manage|learn|course|learningplan|enrollment)/v\d+/(.+?)/?"
_IDS = {"ids", "id", "recordids", "archivedids", "enrollmentids", "archivedenrollmentids"}


@frozen(kw_only=True)
class Nearest:
    """An operation of the platform that may be the one looked for.

    Attributes:
        operation: the row of the contract it is proposed for.
        method: its HTTP method.
        path: its path, with the platform's placeholders.
        why: what speaks for it.
        changes: the fields of `Contract.with_operation`; None where no override can say it.
        modes: archive modes and the platform's value for each, where the contract's is not
            among those that it lists.
        obstacles: what no override can say.
    """

    operation: str
    method: str
    path: str
    why: tuple[str, ...]
    changes: Mapping[str, Any] | None = field(hash=False)
    modes: Mapping[str, str] = field(factory=dict, hash=False)
    obstacles: tuple[str, ...] = ()

    @property
    def override(self) -> str:
        """The calls on a `Contract` that lay it over, ready to paste; empty where none can."""
        return "\n".join(self.calls)

    @property
    def calls(self) -> list[str]:
        """The same, one by one."""
        if self.changes is None:
            return []
        given = [f"{name}={_literal(value)}" for name, value in self.changes.items()]
        calls = [_call("with_operation", [_literal(self.operation), *given])] if given else []
        calls += [_call("with_enrollment_mode", map(_literal, one)) for one in self.modes.items()]
        return calls


def _call(name: str, arguments: Iterable[str]) -> str:
    given = list(arguments)
    flat = f".{name}({', '.join(given)})"
    if len(flat) <= 80:  # noqa: PLR2004  of the line it is pasted into
        return flat
    return "\n".join([f".{name}(", *(f"    {one}," for one in given), ")"])


def _literal(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_literal(k)}: {_literal(v)}" for k, v in value.items()) + "}"
    return "None" if value is None else json.dumps(value, ensure_ascii=False)


def nearest(
    name: str, contract: Contract, described: Iterable[Described]
) -> tuple[tuple[Nearest, Described], ...]:
    """The operations that may be this row of the contract, the likeliest first, at most three."""
    row = contract.operations[name]
    judge = _TASKS.get(name)
    if judge is None:
        judge = _same_tail(row.path) if row.method == "GET" else None
    best: dict[tuple[str, str], tuple[int, tuple[str, ...], Described]] = {}
    for one in described:
        points, why = _sum(judge(one)) if judge else (0, ())
        key = (one.method, one.shape)
        if points >= _ENOUGH and (key not in best or best[key][0] < points):
            best[key] = points, why, one
    ranked = sorted(best.values(), key=lambda found: (-_words(found[2]), -found[0], found[2].path))
    return tuple((_proposed(name, contract, one, why), one) for _, why, one in ranked[:_MOST])


def _words(one: Described) -> int:
    """How many of the two parameters of the reply it takes: they go before every other sign."""
    names = {squashed(p.plain) for p in one.parameters if p.place != "elsewhere"}
    return bool(names & RESET) + any(is_mode(name, strict=True) for name in names)


def _proposed(name: str, contract: Contract, one: Described, why: tuple[str, ...]) -> Nearest:
    changes, modes, obstacles = changes_for(name, contract, one)
    return Nearest(
        operation=name,
        method=one.method,
        path=one.path,
        why=why,
        changes=changes,
        modes=modes,
        obstacles=tuple(obstacles),
    )


Points = Iterator[tuple[int, str]]
_Judge = Callable[[Described], Points]


def _sum(points: Points) -> tuple[int, tuple[str, ...]]:
    found = list(points)
    return sum(count for count, _ in found), tuple(why for _, why in found if why)


def _archives(target: str) -> _Judge:
    """An operation that archives active enrollments of a course, or of a learning plan."""

    def judge(one: Described) -> Points:
        path, name = tokens(_literals(one)), tokens(one.operation_id)
        text = tokens(one.summary)
        mode = _first(one, lambda p: is_mode(p.plain, strict=True))
        reset = _first(one, lambda p: squashed(p.plain) in RESET)
        unlikely = _GONE if mode and reset else _ASIDE | _DELETING
        if one.method in ("GET", "DELETE") or unlikely & {*path, *name}:
            return
        enrolls = mode or reset or _enrolls(path, name, text)
        of_users = any(meaning(word) in ("user", "enrollment") for word in _names(one))
        if enrolls and of_users and _fits(one, target, unknown=bool(mode and reset)):
            yield 2, "it is given users"
            yield from _said_to_archive(one, mode, reset)

    return judge


def _said_to_archive(one: Described, mode: Parameter | None, reset: Parameter | None) -> Points:
    if mode:
        yield 4, f"it takes {mode.plain}"
        if like("unenroll", mode.values) and like("re-enroll", mode.values):
            yield 1, ""
    if reset:
        yield 3, f"it takes {reset.plain}"
    if _is_verb_in(one.path):
        yield 5, '"archive" in its path'
    if _ARCHIVE & {*tokens(one.operation_id)}:
        yield 4, '"archive" in its operationId'
    if _ARCHIVE & {*tokens(one.summary)}:
        yield 1, '"archive" in its summary'


def _lists_archived(target: str) -> _Judge:
    """An operation that lists archived enrollments."""

    def judge(one: Described) -> Points:
        path, name = tokens(_literals(one)), tokens(one.operation_id)
        given = {squashed(p.plain) for p in one.parameters if p.place == "query"}
        if one.method != "GET" or _is_of_one(one.path, target):
            return
        if _ASIDE & {*path, *name} or not _fits(one, target) or not _enrolls(path, name):
            return
        if not given & _PAGED:
            return
        if _ARCHIVED & {*path}:
            yield 7, '"archive" in its path'
        if _ARCHIVED & {*name}:
            yield 4, '"archive" in its operationId'
        if len(given & _FILTERS) > 1:
            yield 4, "it is filtered by when and by whom they were archived"

    return judge


def _deletes_archived(target: str) -> _Judge:
    """An operation that deletes archived enrollments."""

    def judge(one: Described) -> Points:
        path, name = tokens(_literals(one)), tokens(one.operation_id)
        deletes = one.method == "DELETE" or (one.method == "POST" and _DELETING & {*path, *name})
        if not deletes or (_ASIDE & {*path, *name}) or not _enrolls(path, name):
            return
        has_ids = _first(one, lambda p: squashed(p.plain) in _IDS)
        if not has_ids or not _fits(one, target) or not _ARCHIVED & {*path, *name}:
            return
        yield 7, "it deletes what is archived"

    return judge


def _same_tail(path: str) -> _Judge:
    """A read whose path is the same but for service and version."""
    wanted = re.fullmatch(_TAIL, _blank(path))

    def judge(one: Described) -> Points:
        found = re.fullmatch(_TAIL, one.shape)
        if one.method == "GET" and wanted and found and found[1] == wanted[1]:
            yield _ENOUGH, "its path is the same but for service and version"

    return judge


_TASKS: dict[str, _Judge] = {
    "archive_course_enrollments": _archives("course"),
    "archive_learning_plan_enrollments": _archives("plan"),
    "archived_course_enrollments": _lists_archived("course"),
    "archived_learning_plan_enrollments": _lists_archived("plan"),
    "delete_archived_course_enrollments": _deletes_archived("course"),
    "delete_archived_learning_plan_enrollments": _deletes_archived("plan"),
}


def _blank(segment: str) -> str:
    return re.sub(r"{[^{}]*}", "{}", segment)


def _literals(one: Described) -> str:
    return re.sub(r"{[^{}]*}", "", one.path)


def _names(one: Described) -> list[str]:
    return [*one.placeholders, *(p.plain for p in one.parameters if p.place != "elsewhere")]


def _first(one: Described, fits: Callable[[Parameter], bool]) -> Parameter | None:
    usable = (p for p in one.parameters if p.place not in ("elsewhere", "path"))
    return next((p for p in usable if fits(p)), None)


def _enrolls(*words: list[str]) -> bool:
    return any(word.startswith("enrol") for some in words for word in some)


def _fits(one: Described, target: str, *, unknown: bool = False) -> bool:
    """Whether it is about courses, or about learning plans, whichever is meant."""
    known = target_of(one.path, [p.plain for p in one.parameters if p.place != "elsewhere"])
    return target in known or (unknown and not known)


def _is_of_one(path: str, target: str) -> bool:
    """Whether the path ends with a single record, not with the course or plan it is about."""
    before, _, last = path.rstrip("/").rpartition("/")
    place = re.fullmatch(r"{([^{}]*)}", last)
    about = place and (meaning(place[1]) or meaning(before.rpartition("/")[2]))
    return bool(place) and about != target


def _is_verb_in(path: str) -> bool:
    """Whether the path says to archive; what stands in an archive is another matter."""
    segments = [tokens(_blank(segment)) for segment in path.split("/")]
    at = next((i for i, words in enumerate(segments) if _ARCHIVE & {*words}), None)
    if at is None:
        return False
    after = [word for words in segments[at:] for word in words]
    return all(word in _ARCHIVE | _MANNER or word.startswith("enrol") for word in after)
