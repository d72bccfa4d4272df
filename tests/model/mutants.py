"""Mutants: the library with one rule broken, each of which the model test must catch.

Each names a module, the text that holds a rule, and the text that breaks it. The package is
copied, the copy is changed, and the slice is played on it in a process of its own.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import lms_archive

__all__ = ["MUTANTS", "Mutant", "hunt", "main"]

HERE = Path(__file__).parent
COMMAND = HERE / "command.py"
LONGEST = 600


@dataclass(frozen=True)
class Mutant:
    """One rule broken."""

    name: str
    module: str
    rule: str
    broken: str

    def put_into(self, package: Path) -> None:
        """Break the rule in this copy of the package."""
        path = package.joinpath(*self.module.split(".")).with_suffix(".py")
        source = path.read_text(encoding="utf-8")
        if source.count(self.rule) != 1:
            raise LookupError(f"{self.name}: {self.module} has its rule not once: {self.rule!r}")
        path.write_text(source.replace(self.rule, self.broken), encoding="utf-8")


def hunt(mutant: Mutant, seeds: str) -> str | None:
    """Play these seeds on the mutant until one catches it: which, after how many, and how."""
    with tempfile.TemporaryDirectory() as folder:
        package = Path(folder) / "lms_archive"
        skip = shutil.ignore_patterns("__pycache__")
        shutil.copytree(Path(lms_archive.__file__).parent, package, ignore=skip)
        mutant.put_into(package)
        where = os.pathsep.join([folder, str(HERE), str(HERE.parent)])
        done = subprocess.run(  # noqa: S603  our own command
            [sys.executable, str(COMMAND), "--seeds", seeds, "--first"],
            env={**os.environ, "PYTHONPATH": where},
            capture_output=True,
            text=True,
            timeout=LONGEST,
            check=False,
        )
    if done.returncode not in (0, 1):
        raise RuntimeError(f"{mutant.name}: {done.stderr[-500:]}")
    return done.stdout.strip().splitlines()[-1] if done.returncode else None


def main(seeds: str, names: Sequence[str] = ()) -> int:
    """Print the table of the mutants; how many survived is what it returns."""
    survived = 0
    for mutant in MUTANTS:
        if names and not any(name in mutant.name for name in names):
            continue
        caught = hunt(mutant, seeds)
        survived += caught is None
        print(f"{mutant.name:<58} {caught or 'SURVIVED'}", flush=True)
    return survived


MUTANTS = (
    Mutant(
        "sends again without waiting",
        "archive.run",
        """            sending.in_doubt = True
            self._clock.sleep(self._client.wire.settings.retry.settle)
            self._await_open()
            self._wait_for_quiet([sending])
""",
        "            sending.in_doubt = True\n            self._await_open()\n",
    ),
    Mutant(
        "polls without settling",
        "archive.run",
        """            sending.in_doubt = True
            self._clock.sleep(self._client.wire.settings.retry.settle)
""",
        "            sending.in_doubt = True\n",
    ),
    Mutant(
        "settles, but does not wait for quiet",
        "archive.run",
        """            self._await_open()
            self._wait_for_quiet([sending])
            lane.ended.append(sending)
        elif login""",
        """            self._await_open()
            lane.ended.append(sending)
        elif login""",
    ),
    Mutant(
        "matches a record by its user only",
        "archive.readback",
        "own = [one for one in records if one.enrollment.enrolled_at == member.enrolled_at]",
        "own = list(records)",
    ),
    Mutant(
        "takes the active enrollment by its user only",
        "archive.readback",
        "self.active is not None and self.active.enrolled_at == self.member.enrolled_at",
        "self.active is not None",
    ),
    Mutant(
        "commits `sending` after the call",
        "archive.run",
        """        self._ledger.note("sending", chunk.chunk_id, rows=rows, sent_at=sent_at.isoformat())
        self._books.tries.update(rows)
        sending = Sending(chunk=chunk, members=members, sent_at=sent_at)
        try:
            accepted = write(self._client, self._terms, sending)
        except ApiError as error:
""",
        """        self._books.tries.update(rows)
        sending = Sending(chunk=chunk, members=members, sent_at=sent_at)
        try:
            accepted = write(self._client, self._terms, sending)
            self._ledger.note("sending", chunk.chunk_id, rows=rows, sent_at=sent_at.isoformat())
        except ApiError as error:
            self._ledger.note("sending", chunk.chunk_id, rows=rows, sent_at=sent_at.isoformat())
""",
    ),
    Mutant(
        "does not commit `sending` at all",
        "archive.run",
        '        self._ledger.note("sending", chunk.chunk_id, rows=rows, sent_at=sent_at.isoformat())\n',
        "",
    ),
    Mutant(
        "takes this machine's clock for the platform's",
        "wire.calls",
        "        self._date = reply.date or self._date\n",
        """        from datetime import timedelta, timezone  # the clock of the test, ahead or behind
        now = datetime(2026, 3, 1, 12, tzinfo=timezone.utc)
        self._date = now + timedelta(seconds=self.clock.monotonic() - 1000)
        reply = type(reply)(reply.data, self._date)
""",
    ),
    Mutant(
        "does not read again before re-enroll",
        "archive.preparing",
        "if fresh and self.terms.mode is ArchiveMode.UNENROLL:",
        "if fresh:",
    ),
    Mutant(
        "never reads again, however old the reading is",
        "archive.preparing",
        "fresh = age is not None and 0 <= age <= self.client.limits.freshness",
        "fresh = True",
    ),
    Mutant(
        "does not read again what a plan loaded or applied before has read",
        "archive.preparing",
        "fresh = age is not None and 0 <= age <= self.client.limits.freshness",
        "fresh = age is None or age <= self.client.limits.freshness",
    ),
    Mutant(
        "does not drop who was enrolled anew",
        "archive.verdict",
        "if now.enrolled_at != planned.enrolled_at:",
        "if False:",
    ),
    Mutant(
        "takes the job's word",
        "archive.verdict",
        "    if found.record is not None:\n        number",
        """    if found.record is None and not sending.in_doubt and not sending.lost:
        return "archived", "the job has ended"
    if found.record is not None:
        number""",
    ),
    Mutant(
        "takes a lost answer for a refusal",
        "archive.run",
        "        if error.in_doubt:\n",
        "        if False:\n",
    ),
    Mutant(
        "does not take up what an earlier run left under way",
        "archive.run",
        "        sendings = self._state.sendings\n        self._jobs.wait_for",
        "        sendings = self._state.sendings = []\n        self._jobs.wait_for",
    ),
    Mutant(
        "does not wait for the jobs of an earlier run",
        "archive.run",
        "self._jobs.wait_for([one for one in sendings if one.job_id is not None])",
        "pass",
    ),
    Mutant(
        "does not wait for unnamed work of an earlier run",
        "archive.run",
        "        if unnamed:\n",
        "        if False:\n",
    ),
    Mutant(
        "forgets older open jobs in re-enroll",
        "archive.run",
        "if again and not self._stop and (resumed or self._jobs.before):",
        "if False:",
    ),
    Mutant(
        "reads beside a job that is at work",
        "archive.run",
        "            lane.open = sending\n            return\n",
        "            lane.ended.append(sending)\n            return\n",
    ),
    Mutant(
        "forgets a job that has left the listing",
        "archive.polling",
        'job = listed.get(sending.job_id or "") or self._asked(sending)',
        'job = listed.get(sending.job_id or "")',
    ),
    Mutant(
        "takes a job that is too slow for one that has ended",
        "archive.polling",
        """                sending.lost = f"background job {sending.job_id} has not ended"
                sending.timed_out = True
""",
        "                pass\n",
    ),
    Mutant(
        "does not look for a record that lags",
        "archive.accounting",
        "while waited < LAG:",
        "while False:",
    ),
    Mutant(
        "does not look again for a carried course",
        "archive.carried",
        "if may_lag and member.user_id in taken:",
        "if False:",
    ),
    Mutant(
        "says nothing of what nobody asked for",
        "archive.readback",
        "if one is not record and one.archiving.archived_at and",
        "if False and one.archiving.archived_at and",
    ),
    Mutant(
        "archives again in re-enroll who was archived lately",
        "archive.planning",
        "if draft.terms.mode is not ArchiveMode.RE_ENROLL or not skip_archived_within or not rows:",
        "if True:",
    ),
    Mutant(
        "plans a row twice",
        "archive.matching",
        "if first != index:",
        "if False:",
    ),
    Mutant(
        "repeats a write as it repeats a read",
        "wire.retry",
        "if (asked and too_long) or (self._is_write and error.in_doubt):",
        "if asked and too_long:",
    ),
    Mutant(
        "sends what a plan carries along by itself too",
        "archive.rules",
        "if along is None:",
        "if True:",
    ),
    Mutant(
        "counts an unknown row as settled for ever",
        "archive.sending",
        'if kinds.get(one.row, "unknown") == "unknown" and one.row not in seen',
        "if one.row not in kinds and one.row not in seen",
    ),
    Mutant(
        "takes a dated record for an undated enrollment",
        "archive.readback",
        "own = [one for one in records if alone and one.enrollment.enrolled_at is None]",
        "own = [one for one in records if alone]",
    ),
    Mutant(
        "does not watch a learning plan",
        "archive.frozen",
        "return changes, not set(courses) <= set(target.courses)",
        "return [], False",
    ),
    Mutant(
        "leaves carried rows as they were planned",
        "archive.applying",
        "    if not waiting:\n",
        "    if waiting:\n",
    ),
)
