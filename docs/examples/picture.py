"""Draw the picture of a plan for the README: `python docs/examples/picture.py`.

Its numbers are those of a real plan, made against a sandbox of the example's data.
"""

from __future__ import annotations

import sys
from html import escape
from pathlib import Path

from lms_archive import ArchiveJob, ArchivePlan
from lms_archive.sandbox import Sandbox

HERE = Path(__file__).parent
DATA = HERE / "data"
PICTURE = HERE.parent / "_static" / "plan.svg"
WIDTH, LINE, LEFT = 760, 25, 24
# Read on white and on black: middle greys for words, colours of middle lightness for bars.
STYLE = """
text { font: 14px ui-sans-serif, system-ui, sans-serif; fill: #6e7781; }
.big { font-size: 17px; font-weight: 600; }
.number { text-anchor: end; font-variant-numeric: tabular-nums; }
.archive { fill: #2f81f7; } .skip { fill: #bf8700; } .frame { fill: none; stroke: #8b949e; }
"""


def example_plan() -> ArchivePlan:
    """The plan of the example's CSV; nothing is archived."""
    with Sandbox() as sandbox:
        sandbox.load_csv(
            users=DATA / "users.csv",
            courses=DATA / "courses.csv",
            enrollments=DATA / "enrollments.csv",
        )
        job = ArchiveJob.from_csv(DATA / "inactive.csv", mode="unenroll", reset_tracking=False)
        return job.plan(sandbox.client())


def drawn(plan: ArchivePlan) -> str:
    """The plan as SVG: where the rows go, and what that costs."""
    archive: dict[str, int] = {}
    skip: dict[str, int] = {}
    for chunk in plan.chunks:
        name = str(chunk.target)
        archive[name] = archive.get(name, 0) + len(chunk)
    for one in plan.skips:
        skip[one.code] = skip.get(one.code, 0) + 1
    counts, calls = plan.counts, sum(plan.calls.values())
    rows = f"{counts['rows']:,} rows: {counts['to_archive']:,} to archive and unenroll"
    title = f"{rows}, {counts['skipped']:,} skipped"
    foot = f"{counts['chunks']} chunks, {calls} calls; it cannot be undone"
    bars = [*(("archive", *one) for one in archive.items())]
    bars += [("skip", *one) for one in sorted(skip.items(), key=lambda item: -item[1])]
    most = max(number for _, _, number in bars)
    lines = [f'<text class="big" x="{LEFT}" y="40">{escape(title)}</text>']
    for row, (kind, name, number) in enumerate(bars):
        y = 84 + row * LINE
        width = max(number / most * 400, 2)
        shown = name if kind == "archive" else f"skipped: {name.replace('_', ' ')}"
        lines += [
            f'<text x="{LEFT}" y="{y}">{escape(shown)}</text>',
            f'<rect class="{kind}" x="220" y="{y - 13}" width="{width:.0f}" height="16" rx="3"/>',
            f'<text class="number" x="{WIDTH - LEFT}" y="{y}">{number:,}</text>',
        ]
    height = 84 + len(bars) * LINE + 34
    lines.append(f'<text x="{LEFT}" y="{height - 24}">{escape(foot)}</text>')
    size = f'viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}"'
    frame = f'<rect class="frame" x="1" y="1" width="{WIDTH - 2}" height="{height - 2}" rx="8"/>'
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label="{title}. {foot}">'
    )
    return "\n".join([head, f"<style>{STYLE}</style>", frame, *lines, "</svg>\n"])


if __name__ == "__main__":
    PICTURE.write_text(drawn(example_plan()), encoding="utf-8")
    sys.stdout.write(f"written: {PICTURE}\n")
