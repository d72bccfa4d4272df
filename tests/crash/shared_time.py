"""One virtual time for several processes: eight bytes of a file that all of them map."""

import mmap
import struct
from pathlib import Path

from virtual_time import VirtualTime

_SECONDS = struct.Struct("d")


class SharedTime(VirtualTime):
    """Virtual time that outlives whoever moves it. One process at a time lets it pass.

    Args:
        path: the file; it is made where it is missing.
    """

    def __init__(self, path: Path) -> None:
        if not path.exists():
            path.write_bytes(bytes(_SECONDS.size))
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), _SECONDS.size)
        before = self.passed
        super().__init__()
        self.passed = before

    @property
    def passed(self) -> float:
        """The seconds that have passed, in every process."""
        seconds: float = _SECONDS.unpack_from(self._map)[0]
        return seconds

    @passed.setter
    def passed(self, seconds: float) -> None:
        _SECONDS.pack_into(self._map, 0, seconds)
