"""A plan in words: what a person reads before they say yes."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta

from lms_archive.archive.cutting import Chunk, PlannedTarget
from lms_archive.archive.outcomes import Skip
from lms_archive.archive.terms import Terms
from lms_archive.errors import printable

__all__ = ["printable", "printed"]

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
    count = sum(len(chunk) for chunk in chunks)
    where = f"{_targets(chunks)} of {platform}"
    staff = "staff included" if terms.include_staff else "learners only"
    tracking = "RESET" if terms.reset_tracking else "kept"
    lines = [
        f"Plan: archive and {terms.mode} {_number(count, 'enrollment')} in {where}",
        "  THIS CANNOT BE UNDONE: archived enrollments cannot be restored.",
        f"  Taken: {', '.join(terms.only)}; {staff}.",
        f"  Tracking of the training material: {tracking}.",
        *_not_held(chunks),
        "",
        *_by_target(chunks),
        *_by_reason(skips),
    ]
    lines += [f"Warning: {printable(text)}" for text in warnings]
    total = sum(calls.values())
    some = ", ".join(f"{name} {number:,}" for name, number in sorted(calls.items()))
    polled = f"Calls: {total:,} and the polls of background jobs ({some})."
    lines.append(polled if total else "No calls.")
    lines.append(f"Time: at least {_time(duration)}. Nothing has been sent yet.")
    return "\n".join(lines)


def _targets(chunks: Iterable[Chunk]) -> str:
    kinds = Counter(kind for kind, _ in {chunk.target.key for chunk in chunks})
    shown = [_number(count, kind.replace("_", " ")) for kind, count in sorted(kinds.items())]
    return " and ".join(shown) or "no target"


def _not_held(chunks: Sequence[Chunk]) -> Iterator[str]:
    plans = [chunk for chunk in chunks if chunk.target.kind == "learning_plan"]
    if plans:
        carried = sum(len(chunk) * len(chunk.target.courses) for chunk in plans)
        yield f"  Carried along: up to {_number(carried, 'enrollment')} in the plans' courses."
        yield "  A plan's record will not hold scores, time spent or progress (article)."
    if len(plans) < len(chunks):
        yield "  A course's record holds no progress in single materials (assumed)."


def _by_target(chunks: Iterable[Chunk]) -> Iterator[str]:
    counts: dict[PlannedTarget, list[int]] = defaultdict(lambda: [0, 0])
    for chunk in chunks:
        counts[chunk.target][0] += len(chunk)
        counts[chunk.target][1] += 1
    if not counts:
        yield "Nothing to archive."
        return
    shown = list(counts.items())[:_LINES]
    width = max(len("target"), *(len(_short(str(target))) for target, _ in shown))
    titles = max(len("title"), *(len(_short(target.title or "")) for target, _ in shown))
    yield f"  {'target':<{width}}  {'title':<{titles}}  to archive  chunks"
    for target, (rows, number) in shown:
        code, title = _short(str(target)), _short(target.title or "")
        yield f"  {code:<{width}}  {title:<{titles}}  {rows:>10,}  {number:>6,}"
    if len(counts) > _LINES:
        yield f"  and {len(counts) - _LINES:,} more"
    yield ""


def _by_reason(skips: Sequence[Skip]) -> Iterator[str]:
    if not skips:
        yield "Skipped: no row."
        return
    yield f"Skipped: {_number(len(skips), 'row')}"
    counts = Counter(skip.code for skip in skips)
    first = {skip.code: skip.reason for skip in reversed(skips)}
    for code, number in counts.most_common():
        yield f"  {number:>6,}  {code}: {'e.g. ' if number > 1 else ''}{printable(first[code])}"


def _short(text: str) -> str:
    text = printable(text)
    return text if len(text) <= _WIDTH else text[: _WIDTH - 3] + "..."


def _number(count: int, word: str) -> str:
    return f"{count:,} {word}{'' if count == 1 else 's'}"


def _time(duration: timedelta) -> str:
    seconds = duration.total_seconds()
    if seconds < 90:  # noqa: PLR2004
        return f"{seconds:.0f} seconds"
    if seconds < 5400:  # noqa: PLR2004
        return f"{seconds / 60:.0f} minutes"
    return f"{seconds / 3600:.1f} hours"
