"""Background jobs of the platform."""

from __future__ import annotations

from collections.abc import Iterator

from lms_archive.records.active import BackgroundJob
from lms_archive.resources.listing import Listing
from lms_archive.wire.calls import Wire
from lms_archive.wire.pages import Page, pages, structured

__all__ = ["BackgroundJobs"]


class BackgroundJobs:
    """`client.background_jobs`: work that the platform does after it has answered."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def list(self) -> Listing[BackgroundJob]:
        """This account's own jobs, page by page; ended ones stay listed for 13 days (doc).

        Calls `GET /manage/v1/job` (2017).

        Raises:
            ApiError: a call failed.
        """
        return Listing(BackgroundJob, self.pages)

    def pages(self) -> Iterator[Page[BackgroundJob]]:
        """The same, a page at a time."""
        return pages(self._wire, "list_jobs", BackgroundJob)

    def get(self, job_id: str) -> BackgroundJob:
        """The job of that hash.

        Calls `GET /manage/v1/job/{hash}` (2017).

        Raises:
            NotFoundError: there is none, or not any more.
        """
        given = {"job_id": job_id}
        reply = self._wire.call("get_job", **given)
        return structured(self._wire, "get_job", BackgroundJob, reply.data, None, given)
