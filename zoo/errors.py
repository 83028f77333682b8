"""The error that stands for a wrong request to the zoo."""

import difflib


class ZooError(ValueError):
    """An unknown name, option or combination: the message says what was found, what was expected and the mend."""

    exit_status = 2


def unknown(kind: str, name, accepted) -> ZooError:
    """The error for ``found`` not being one of ``accepted``, with the nearest spelling.

    Args:
        kind: what was asked for, for example "model".
        name: the name given.
        accepted: the names known.

    Returns:
        The error, to be raised by the caller.
    """
    accepted = [str(a) for a in accepted]
    near = difflib.get_close_matches(str(name), accepted, n=1, cutoff=0.5)
    meant = f" Did you mean {near[0]!r}?" if near else ""
    return ZooError(f"unknown {kind} {name!r}.{meant} Expected one of {', '.join(accepted)}")
