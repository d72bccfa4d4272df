"""Generate the CSV files of the example, with the same content every time.

python docs/examples/make_data.py
"""

import csv
import random
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path

DATA = Path(__file__).parent / "data"
USERS = 600
COURSES = {
    "SAFETY-101": "Safety at work",
    "GDPR-2024": "Data protection",
    "ONBOARD": "Welcome aboard",
    "SEC-AWARE": "Security awareness",
    "FIRE-01": "Fire drill",
    "CODE-COND": "Code of conduct",
    "SALES-1": "Selling well",
    "SALES-2": "Selling better",
    "EXCEL": "Spreadsheets",
    "LEAD-1": "First leadership",
    "ERGO": "Ergonomics",
    "FIRST-AID": "First aid",
}
FIRST = ["Ada", "Ben", "Cleo", "Dan", "Eva", "Finn", "Gina", "Hugo", "Ines", "Jon", "Kira", "Leo"]
LAST = ["Abel", "Bruno", "Costa", "Dietz", "Egli", "Fabre", "Gallo", "Huber", "Keller", "Lopez"]


def main() -> None:
    """Write users, courses, enrollments, and the CSV of inactive users."""
    chance = random.Random(2024)  # noqa: S311  the same data every time
    users: list[list[object]] = []
    enrollments: list[list[object]] = []
    inactive: list[list[object]] = []
    for number in range(1, USERS + 1):
        first, last = chance.choice(FIRST), chance.choice(LAST)
        username = f"{first}.{last}.{number}".lower()
        left = number <= USERS * 0.87
        seen = _day(2024 if left else 2026) + timedelta(days=chance.randrange(180))
        users.append([username, first, last, f"{username}@example.com", seen])
        for code in COURSES:
            if code == "SAFETY-101" or chance.random() < 0.3:
                enrollments.append(_enrollment(chance, username, code))
                # As in practice, the list includes courses that a user has not completed.
                if left and (enrollments[-1][2] == "completed" or chance.random() < 0.1):
                    inactive.append([username, code, f"HR-{number:04}"])
    inactive += [inactive[7], ["nobody.at.all", "ERGO", "HR-0601"], ["ada", "ERGO-2", "HR-0602"]]
    inactive.append([inactive[0][0], "", "HR-0603"])
    _write("users", "username first_name last_name email last_access_date", users)
    _write("courses", "code name", [[code, name] for code, name in COURSES.items()])
    _write(
        "enrollments",
        "username course_code enrollment_status enrollment_level enrollment_created_at"
        " enrollment_completion_date enrollment_score",
        enrollments,
    )
    _write("inactive", "username course_code ticket", inactive)


def _day(year: int) -> datetime:
    return datetime(year, 1, 9, 9, tzinfo=timezone.utc)


def _text(value: object) -> object:
    return f"{value:%Y-%m-%d %H:%M:%S}" if isinstance(value, datetime) else value


def _enrollment(chance: random.Random, username: str, code: str) -> list[object]:
    begun = _day(2023) + timedelta(days=chance.randrange(300))
    status = chance.choices(["completed", "in_progress", "enrolled"], [90, 7, 3])[0]
    level = "tutor" if chance.random() < 0.005 else "student"
    if status != "completed":
        return [username, code, status, level, begun, "", ""]
    ended = begun + timedelta(days=chance.randrange(1, 60), minutes=chance.randrange(600))
    return [username, code, status, level, begun, ended, chance.randrange(60, 101)]


def _write(name: str, header: str, rows: Sequence[Sequence[object]]) -> None:
    with (DATA / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header.split())
        writer.writerows([_text(cell) for cell in row] for row in rows)


if __name__ == "__main__":
    main()
