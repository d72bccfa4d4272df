"""Archive and unenroll inactive users from every course that they completed, with one CSV.

This runs on your machine only, against a sandbox: a test platform with an HTTP server and a SQLite
database. On a real platform, use `Client.from_env()` instead of `sandbox.client()`.

python docs/examples/archive_inactive_users.py
"""

import sqlite3
import tempfile
from itertools import islice
from pathlib import Path

from lms_archive import ArchivedCourseEnrollment, ArchiveJob, Limits
from lms_archive.sandbox import Sandbox

DATA = Path(__file__).parent / "data"
ARCHIVED_PER_COURSE = """
SELECT c.code, (SELECT count(*) FROM enrollments e WHERE e.course_id = c.id_course),
       (SELECT count(*) FROM archived_enrollments a WHERE a.course_id = c.id_course)
FROM courses c ORDER BY 1
"""


def main() -> None:
    """Plan, archive, and compare the result with the platform's database."""
    with tempfile.TemporaryDirectory() as folder, Sandbox(job_seconds=0.3) as sandbox:
        sandbox.load_csv(
            users=DATA / "users.csv",
            courses=DATA / "courses.csv",
            enrollments=DATA / "enrollments.csv",
        )
        client = sandbox.client(limits=Limits(first_poll=0.2))

        job = ArchiveJob.from_csv(DATA / "inactive.csv", mode="unenroll", reset_tracking=False)
        plan = job.plan(client)  # only reads
        print(plan)

        result = plan.apply(client, ledger=Path(folder, "inactive.sqlite"), max_affected=5_000)
        print(f"\nOutcome: {result.counts}")
        print(f"Calls: {result.calls}")

        print("\nThree of the archived records:")
        for record in islice(result.records, 3):
            assert isinstance(record, ArchivedCourseEnrollment)
            print(f"  {record.user.username} {record.course.code} {record.enrollment.completed_at}")
            print(f"    {record.archiving}")
        result.to_csv(Path(folder, "outcome.csv"))

        print("\nThe platform's database, queried with SQL:")
        print(f"  {'course':<12}{'active':>8}{'archived':>10}")
        with sqlite3.connect(sandbox.path) as database:
            rows = database.execute(ARCHIVED_PER_COURSE).fetchall()
        database.close()
        for code, active, archived in rows:
            print(f"  {code:<12}{active:>8,}{archived:>10,}")
        total = sum(archived for _, _, archived in rows)
        if total != result.counts["archived"]:
            raise SystemExit(f"the database has {total}, the result {result.counts['archived']}")
        print(f"  {total:,} archived enrollments, as the result says.")


if __name__ == "__main__":
    main()
