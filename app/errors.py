"""The errors a user can mend: each is one line that names the thing, what is wrong with it and what would be right."""


class HarkError(Exception):
    """Something from outside (a file, a model, a device, a configuration) cannot be used; exit status 2."""


class AudioError(HarkError):
    """Sound that cannot be read, or a device that gives none."""


class ModelError(HarkError):
    """A model file that cannot be used."""
