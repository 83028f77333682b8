"""The error of opening a saved model."""

from zoo.errors import ZooError


class LoadError(ZooError):
    """A model file cannot be opened: the message names the file, what was found, what was expected and the mend."""

    exit_status = 1
