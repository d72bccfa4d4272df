"""What the tests of the sandbox share: a plain HTTP client, and two small platforms."""

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import requests

from lms_archive.sandbox import Sandbox

if TYPE_CHECKING:
    from typing_extensions import Self

COURSES = "/course/v1/courses"
PLANS = "/learningplan/v1/learningplans"
COUNTS = "SELECT (SELECT COUNT(*) FROM enrollments), (SELECT COUNT(*) FROM archived_enrollments)"


ARCHIVED_ITEM = {
    "id": 1,
    "archived_by": 2_000_000_001,
    "user_id": 100,
    "username": "u100",
    "first_name": None,
    "last_name": None,
    "language": "en",
    "certificate_url": None,
    "certificate_date": None,
    "enrollment_created_by": 2_000_000_001,
    "enrollment_status": "completed",
    "enrollment_validity_begin_datetime": None,
    "enrollment_validity_end_datetime": None,
    "enrollment_completion_date": "2025-02-02 00:00:00",
}
"""What the items of both archived lists have in common, for the first user of these platforms."""


class Http:
    """A signed-in `requests` session on a sandbox."""

    def __init__(self, sandbox: Sandbox, role: str = "superadmin") -> None:
        self.url = sandbox.url
        self.session = requests.Session()
        self.session.trust_env = False
        self.login = login_form(sandbox, role)
        token = self.token(**self.login).json()
        self.session.headers["Authorization"] = f"Bearer {token['access_token']}"

    def __enter__(self) -> "Self":
        return self

    def __exit__(self, *_: object) -> None:
        self.session.close()

    def token(self, **form: str) -> requests.Response:
        """Ask for a token."""
        return self.session.post(f"{self.url}/oauth2/token", data=form, timeout=5)

    def call(self, method: str, path: str, json: Any = None, **query: Any) -> requests.Response:
        """Make any call; redirects are not followed."""
        return self.session.request(
            method, self.url + path, params=query, json=json, timeout=5, allow_redirects=False
        )

    def get(self, path: str, **query: Any) -> requests.Response:
        """Make a GET call."""
        return self.call("GET", path, **query)

    def data(self, path: str, **query: Any) -> dict[str, Any]:
        """Return the data of a successful GET."""
        answer = self.get(path, **query)
        assert answer.status_code == 200, answer.text
        data: dict[str, Any] = answer.json()["data"]
        return data

    def items(self, path: str, key: Any = None, /, **query: Any) -> list[Any]:
        """Return the items of a list, or what each holds under *key*."""
        items = self.data(path, **query)["items"]
        return [item[key] for item in items] if key else items

    def archive(self, courses: list[int], users: list[int], **more: Any) -> requests.Response:
        """Archive and unenroll, or as *more* says."""
        body = {"course_id": courses, "user_id": users, "enrollment_mode": "delete", **more}
        return self.call("PUT", "/learn/v1/enrollments", json=body)

    def archive_plan(self, plan: int, users: list[int], **more: Any) -> requests.Response:
        """Archive and unenroll from a plan, or as *more* says."""
        body = {"user_ids": users, "enrollment_mode": "delete", **more}
        return self.call("PUT", f"{PLANS}/{plan}/enrollments", json=body)

    def job(self, job_hash: str) -> dict[str, Any]:
        """Return the descriptor of a job."""
        job: dict[str, Any] = self.data(f"/manage/v1/job/{job_hash}")["job_descriptor"]
        return job


def login_form(sandbox: Sandbox, role: str = "superadmin") -> dict[str, str]:
    """Return the form of the password grant."""
    env = sandbox.env(role)  # type: ignore[arg-type]
    keys = ("client_id", "client_secret", "username", "password")
    return {"grant_type": "password"} | {key: env[f"LMS_ARCHIVE_{key.upper()}"] for key in keys}


def fill(sandbox: Sandbox, users: int = 6, status: str = "completed") -> list[int]:
    """Load one course (id 7, code SAFE) with *users* enrolled users; return their ids."""
    ids = [100 + i for i in range(users)]
    sandbox.load(
        users=[{"username": f"u{user}", "user_id": user} for user in ids],
        courses=[{"code": "SAFE", "name": "Safety at work", "id_course": 7, "credits": 1.5}],
        enrollments=[
            {
                "user_id": user,
                "course_code": "SAFE",
                "enrollment_status": status,
                "enrollment_created_at": "2025-01-02 03:04:05",
                "enrollment_completion_date": "2025-02-02",
                "enrollment_score": 88,
                "enrollment_time_spent": 600,
            }
            for user in ids
        ],
    )
    return ids


def fill_plans(sandbox: Sandbox, users: int = 3) -> list[int]:
    """Load plan 50 of courses 1 and 2, and plans 60 and 70 which share course 4.

    Each user is in 50 and 60 and has completed all of both; 70 is empty. Return the users.
    """
    ids = [100 + i for i in range(users)]
    done = {
        "enrollment_status": "completed",
        "enrollment_created_at": "2025-01-02",
        "enrollment_completion_date": "2025-02-02",
        "enrollment_time_spent": 60,
    }
    sandbox.load(
        users=[{"username": f"u{user}", "user_id": user} for user in ids],
        courses=[{"code": f"C{i}", "name": f"Course {i}", "id_course": i} for i in (1, 2, 3, 4)],
        learning_plans=[
            {"learning_plan_id": 50, "code": "OWN", "title": "Own", "courses": "C2,C1"},
            {"learning_plan_id": 60, "code": "TWIN", "courses": ["C3", 4]},
            {"learning_plan_id": 70, "code": "TWIN", "courses": "C4"},
        ],
        enrollments=[{"user_id": u, "id_course": c, **done} for u in ids for c in (1, 2, 3, 4)],
        learning_plan_enrollments=[
            {"user_id": u, "learning_plan_id": p, **done} for u in ids for p in (50, 60)
        ],
    )
    return ids


def rows(sandbox: Sandbox, sql: str) -> list[tuple[Any, ...]]:
    """Query the sandbox's file."""
    with closing(sqlite3.connect(sandbox.path)) as db:
        return db.execute(sql).fetchall()
