"""The errors a user can mend: each is one line that names the thing, what is wrong with it and what would be right."""

from .text import printable


class HarkError(Exception):
    """Something from outside (a file, a model, a device, a configuration) cannot be used; exit status 2."""

    def __init__(self, line: str) -> None:
        super().__init__(printable(line))  # it names files, whose names may hold anything


class AudioError(HarkError):
    """Sound that cannot be read, or a device that gives none."""


class ModelError(HarkError):
    """A model file that cannot be used."""
