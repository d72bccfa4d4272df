"""What the platform's names mean: `users`, `id_user` and `userIds[]` all name users."""

from __future__ import annotations

import re
from collections.abc import Iterable

__all__ = ["RESET", "is_mode", "like", "meaning", "squashed", "target_of", "tokens"]

RESET = {"resettracking", "resettrackingdata"}

_MEANINGS = {
    "user": {"user", "users", "learner", "learners", "student", "students"},
    "course": {"course", "courses"},
    "plan": {"learningplan", "learningplans", "lp", "lps"},
    "job": {"job", "jobs", "hash", "jobhash", "backgroundjob"},
    "enrollment": {"enrollment", "enrollments", "enrolment", "enrolments"},
}
_PLAN_PATH = {"idpath", "idpaths", "pathid", "pathids"}
_MODE = {"enrollmentmode", "enrolmentmode", "archivemode", "archivingmode"}


def tokens(text: str) -> list[str]:
    """The words of a name or path, in lower case; `archiveEnrollments` has two."""
    parted = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", text)
    return re.findall(r"[a-z]+", parted.lower())


def squashed(name: str) -> str:
    """A name without case, separators and `[]`."""
    return "".join(tokens(name))


def meaning(name: str) -> str | None:
    """What an id or a list of ids is about: user, course, plan, job, enrollment; else None."""
    if squashed(name) in _PLAN_PATH:  # what plans were called once
        return "plan"
    words = "".join(word for word in tokens(name) if word not in ("id", "ids"))
    spellings = (words, re.sub(r"ids?$", "", words))
    return next((one for one, names in _MEANINGS.items() if names.intersection(spellings)), None)


def is_mode(name: str, *, strict: bool = False) -> bool:
    """Whether a parameter can only be the archive mode; not strict: in an archive operation."""
    return squashed(name) in _MODE or (not strict and squashed(name) == "mode")


def like(mode: str, values: Iterable[str]) -> list[str]:
    """The platform's values that can only mean this archive mode, by their words."""
    found: dict[str, list[str]] = {"re-enroll": [], "unenroll": [], "archive": []}
    for value in values:
        word = squashed(value)
        if re.search(r"reenrol|enrolagain|enrollagain|resubscri", word):
            found["re-enroll"].append(value)
        elif re.search(r"delet|unenrol|disenrol|deenrol|unsubscri|remov", word):
            found["unenroll"].append(value)
        elif "archiv" in word:
            found["archive"].append(value)
    return found[mode] or (found["archive"] if mode == "unenroll" else [])


def target_of(path: str, names: Iterable[str]) -> set[str]:
    """Whether an operation is about courses, plans or both; empty: nothing says so.

    What its parameters say goes before what its path says, and the rest of the path before the
    service at its beginning.
    """
    segments = [segment for segment in path.split("/") if segment]
    given, before = {meaning(name) for name in names}, ""
    for segment in segments:
        for place in re.findall(r"{([^{}]*)}", segment):
            given.add(meaning(place) or meaning(before))
        before = segment
    rest = _said(segments[2:])
    given &= {"course", "plan"}
    if len(given) == 1:
        return {one for one in given if one}
    return rest or _said(segments[:1]) or {one for one in given if one}


def _said(segments: Iterable[str]) -> set[str]:
    words = " ".join(" ".join(tokens(segment)) for segment in segments if "{" not in segment)
    found = {"plan"} if re.search(r"\blearning ?plans?\b", words) else set()
    return found | ({"course"} if re.search(r"\bcourses?\b", words) else set())
