"""Mutants: the library with one rule broken, each of which the model test must catch.

Each entry is a module, the text that holds a rule, and the text that breaks it. The module is
made anew from the changed source, in memory, for as long as the mutant lives.
"""

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

__all__ = ["MUTANTS", "Mutant"]


@dataclass(frozen=True)
class Mutant:
    """One rule broken."""

    name: str
    module: str
    rule: str
    broken: str

    @contextmanager
    def alive(self) -> Iterator[None]:
        """Break the rule, in every module that uses it, and mend it afterwards."""
        module = importlib.import_module(f"lms_archive.{self.module}")
        source = Path(str(module.__file__)).read_text(encoding="utf-8")
        if source.count(self.rule) != 1:
            raise LookupError(f"{self.name}: {self.module} has its rule not once: {self.rule!r}")
        before = dict(vars(module))
        changed = compile(source.replace(self.rule, self.broken), str(module.__file__), "exec")
        vars(module).pop("__all__", None)
        exec(changed, vars(module))  # noqa: S102  our own source
        after = dict(vars(module))
        try:
            _everywhere(before, after)
            yield
        finally:
            _everywhere(after, before)
            vars(module).update(before)


def _everywhere(old: dict[str, object], new: dict[str, object]) -> None:
    """Put the new functions and classes where the old ones are used."""
    changed = {id(value): new[name] for name, value in old.items() if _is_own(old, name, value)}
    for name, module in list(sys.modules.items()):
        if name.startswith("lms_archive.") and module is not None:
            for attribute, value in list(vars(module).items()):
                if id(value) in changed:
                    setattr(module, attribute, changed[id(value)])


def _is_own(module: dict[str, object], name: str, value: object) -> bool:
    return getattr(value, "__module__", None) == module["__name__"] and not name.startswith("__")


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
        "waits for quiet, but does not settle first",
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
        """        if self._date is None:
            faults""",
        """        if self._date is not None:
            from datetime import timedelta
            return THE_START + timedelta(seconds=self.clock.monotonic() - 1000)
        if self._date is None:
            faults""",
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
        """            self._clock.sleep(self._client.wire.settings.retry.settle)
            self._wait_for_quiet(unnamed)
        for lane""",
        "            pass\n        for lane",
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
        "            if not lane.waiting and not any(map(lane.meets, under_way)):\n",
        "            if lane.open or lane.ended:\n"
        "                lane.ended += [lane.open] if lane.open else []\n"
        "                lane.open = None\n",
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
        "archive.settling",
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
        "sends a failed row again",
        "archive.verdict",
        "    if more_rounds:\n        return None\n",
        "    if more_rounds or tries < 3:\n        return None\n",
    ),
    Mutant(
        "archives again in re-enroll who was archived lately",
        "archive.planning",
        "if draft.terms.mode is not ArchiveMode.RE_ENROLL or not again_after or not rows:",
        "if True:",
    ),
    Mutant(
        "plans a row twice",
        "archive.matching",
        "if first is not where:",
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
        "if (target.target_id, row.user_id) in carried\n        }",
        "if False\n        }",
    ),
    Mutant(
        "counts an unknown row as settled for ever",
        "archive.sending",
        'if kinds.get(one.row, "unknown") == "unknown" and one.row not in seen',
        "if one.row not in kinds and one.row not in seen",
    ),
)
