"""A plan in words: what a person reads before they say yes."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta

from lms_archive.archive.cutting import Chunk, PlannedTarget
from lms_archive.archive.outcomes import Skip
from lms_archive.archive.terms import Terms
from lms_archive.errors import printable

__all__ = [
    "FOREVER",
    "headline",
    "numbered",
    "printable",
    "printed",
    "reasons",
    "targets",
    "what_is_done",
    "what_it_takes",
]

FOREVER = "THIS CANNOT BE UNDONE: archived enrollments cannot be restored."
_LINES = 30
_WIDTH = 40


def printed(
    *,
    platform: str,
    terms: Terms,
    chunks: Sequence[Chunk],
    skips: Sequence[Skip],
    warnings: Iterable[str],
    calls: Mapping[str, int],
    duration: timedelta,
) -> str:
    """The plan as text, at most about a screen whatever its size."""
    lines = [
        headline(platform, terms, chunks),
        f"  {FOREVER}",
        *(f"  {text}" for text in what_is_done(terms, chunks)),
        "",
        *_by_target(chunks),
        *_by_reason(skips),
    ]
    lines += [f"Warning: {printable(text)}" for text in warnings]
    return "\n".join([*lines, *what_it_takes(calls, duration)])


def headline(platform: str, terms: Terms, chunks: Sequence[Chunk]) -> str:
    """What will be archived, and where."""
    count = sum(len(chunk) for chunk in chunks)
    where = f"{_targets(chunks)} of {platform}"
    return f"Plan: archive and {terms.mode} {numbered(count, 'enrollment')} in {where}"


def what_is_done(terms: Terms, chunks: Sequence[Chunk] = ()) -> Iterator[str]:
    """What is taken, what becomes of it, and what a record will not hold."""
    staff = "staff included" if terms.include_staff else "learners only"
    yield f"Taken: {', '.join(terms.only)}; {staff}."
    yield f"Tracking of the training material: {'RESET' if terms.reset_tracking else 'kept'}."
    yield from _not_held(chunks)


def what_it_takes(calls: Mapping[str, int], duration: timedelta) -> Iterator[str]:
    """Calls and time."""
    total = sum(calls.values())
    some = ", ".join(f"{printable(name)} {number:,}" for name, number in sorted(calls.items()))
    polled = f"Calls: {total:,} and the polls of background jobs ({some})."
    yield polled if total else "No calls."
    yield f"Time: at least {_time(duration)}. Nothing has been sent yet."


def _targets(chunks: Iterable[Chunk]) -> str:
    kinds = Counter(kind for kind, _ in {chunk.target.key for chunk in chunks})
    shown = [numbered(count, kind.replace("_", " ")) for kind, count in sorted(kinds.items())]
    return " and ".join(shown) or "no target"


def _not_held(chunks: Sequence[Chunk]) -> Iterator[str]:
    plans = [chunk for chunk in chunks if chunk.target.kind == "learning_plan"]
    if plans:
        carried = sum(len(chunk) * len(chunk.target.courses) for chunk in plans)
        yield f"Carried along: up to {numbered(carried, 'enrollment')} in the plans' courses."
        yield "A plan's record will not hold scores, time spent or progress (article)."
    if len(plans) < len(chunks):
        yield "A course's record holds no progress in single materials (assumed)."


def targets(chunks: Iterable[Chunk]) -> list[tuple[PlannedTarget, int, int]]:
    """Each target, its enrollments to archive, and its chunks."""
    counts: dict[PlannedTarget, list[int]] = defaultdict(lambda: [0, 0])
    for chunk in chunks:
        counts[chunk.target][0] += len(chunk)
        counts[chunk.target][1] += 1
    return [(target, rows, number) for target, (rows, number) in counts.items()]


def _by_target(chunks: Iterable[Chunk]) -> Iterator[str]:
    found = targets(chunks)
    if not found:
        yield "Nothing to archive."
        return
    shown = found[:_LINES]
    width = max(len("target"), *(len(_short(str(target))) for target, _, _ in shown))
    titles = max(len("title"), *(len(_short(target.title or "")) for target, _, _ in shown))
    yield f"  {'target':<{width}}  {'title':<{titles}}  to archive  chunks"
    for target, rows, number in shown:
        code, title = _short(str(target)), _short(target.title or "")
        yield f"  {code:<{width}}  {title:<{titles}}  {rows:>10,}  {number:>6,}"
    if len(found) > _LINES:
        yield f"  and {len(found) - _LINES:,} more"
    yield ""


def reasons(skips: Sequence[Skip]) -> list[tuple[int, str, str]]:
    """How many rows are skipped by each code, the code, and the reason of the first."""
    counts = Counter(skip.code for skip in skips)
    first = {skip.code: skip.reason for skip in reversed(skips)}
    return [(number, code, first[code]) for code, number in counts.most_common()]


def _by_reason(skips: Sequence[Skip]) -> Iterator[str]:
    if not skips:
        yield "Skipped: no row."
        return
    yield f"Skipped: {numbered(len(skips), 'row')}"
    for number, code, reason in reasons(skips):
        yield f"  {number:>6,}  {code}: {'e.g. ' if number > 1 else ''}{printable(reason)}"


def _short(text: str) -> str:
    text = printable(text)
    return text if len(text) <= _WIDTH else text[: _WIDTH - 3] + "..."


def numbered(count: int, word: str) -> str:
    """A count and its word."""
    return f"{count:,} {word}{'' if count == 1 else 's'}"


def _time(duration: timedelta) -> str:
    seconds = duration.total_seconds()
    if seconds < 90:  # noqa: PLR2004
        return f"{seconds:.0f} seconds"
    if seconds < 5400:  # noqa: PLR2004
        return f"{seconds / 60:.0f} minutes"
    return f"{seconds / 3600:.1f} hours"
