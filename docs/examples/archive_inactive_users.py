"""One CSV of inactive users: archive and unenroll them from every course they have completed.

It runs on this machine alone, against a stand-in platform with a real HTTP server and a real
database. On a platform of yours, `Client.from_env()` takes the place of `sandbox.client()`.

python docs/examples/archive_inactive_users.py
"""

import sqlite3
import tempfile
from itertools import islice
from pathlib import Path

from lms_archive import ArchivedCourseEnrollment, ArchiveJob, Limits
from lms_archive.sandbox import Sandbox

DATA = Path(__file__).parent / "data"
TRUTH = """
SELECT c.code, (SELECT count(*) FROM enrollments e WHERE e.course_id = c.id_course),
       (SELECT count(*) FROM archived_enrollments a WHERE a.course_id = c.id_course)
FROM courses c ORDER BY 1
"""


def main() -> None:
    """Plan, look, archive, and prove it with plain SQL."""
    with tempfile.TemporaryDirectory() as folder, Sandbox(job_seconds=0.3) as sandbox:
        sandbox.load_csv(
            users=DATA / "users.csv",
            courses=DATA / "courses.csv",
            enrollments=DATA / "enrollments.csv",
        )
        client = sandbox.client(limits=Limits(first_poll=0.2))

        job = ArchiveJob.from_csv(DATA / "inactive.csv", mode="unenroll", reset_tracking=False)
        plan = job.plan(client)  # reads only
        print(plan)

        result = plan.apply(client, ledger=Path(folder, "inactive.sqlite"), max_affected=5_000)
        print(f"\nOutcome: {result.counts}")
        print(f"Calls: {result.calls}")

        print("\nThree of the archived records, frozen:")
        for record in islice(result.records, 3):
            assert isinstance(record, ArchivedCourseEnrollment)
            print(f"  {record.user.username} {record.course.code} {record.enrollment.completed_at}")
            print(f"    {record.archiving}")
        result.to_csv(Path(folder, "outcome.csv"))

        print("\nThe platform's own database, asked with plain SQL:")
        print(f"  {'course':<12}{'active':>8}{'archived':>10}")
        with sqlite3.connect(sandbox.path) as database:
            rows = database.execute(TRUTH).fetchall()
        database.close()
        for code, active, archived in rows:
            print(f"  {code:<12}{active:>8,}{archived:>10,}")
        total = sum(archived for _, _, archived in rows)
        if total != result.counts["archived"]:
            raise SystemExit(f"the SQL counts {total}, the result {result.counts['archived']}")
        print(f"  {total:,} archived enrollments, as the result says.")


if __name__ == "__main__":
    main()
