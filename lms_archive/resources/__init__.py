"""The resources of a client: courses, learning plans, users, enrollments, background jobs."""

from lms_archive.resources.check import ClientCheck
from lms_archive.resources.deletion import Deletion
from lms_archive.resources.listing import Listing

__all__ = ["ClientCheck", "Deletion", "Listing"]
