"""What keeps a folder from being bundled."""

from __future__ import annotations


class BundleError(Exception):
    """A fault at a place in a module; `file` is its path in the folder, `line` 1-based, 0 where it is about
    the file as a whole, which is `""` where it is about the folder.
    """

    def __init__(self, file: str, line: int, message: str, hint: str = "") -> None:
        place = f"{file}:{line}" if line else file
        super().__init__(f"{place}: {message}" if place else message)
        self.file = file
        self.line = line
        self.message = message
        self.hint = hint
