"""Which form a 3D network is rewritten into: the one asked for, or the best for a target that can express it."""

from collections.abc import Callable, Sequence

from export import ethos
from export.errors import FormatError
from export.ethos import EthosError
from export.formats import Format
from export.forms import check_form
from export.rewrite import RewriteError


def candidates(
    form: str | None, target: ethos.Target | None, chosen: Format, patch: Sequence[int]
) -> tuple[str | None, ...]:
    """The forms to try, first ones first; None is what is quickest on processors.

    Args:
        form: as asked for; it is the only one then.
        target: NPU that the int8 TFLite file is made for.
        chosen: the format.
        patch: spatial size of the input.

    Raises:
        FormatError: for an unknown form, or a form of a 2D network.
    """
    check_form(form)
    if form is not None:
        if len(patch) != 3:
            raise FormatError(f"form {form}: holds for 3D networks, this one takes {len(patch)} axes; leave it out")
        return (form,)
    if target is not None and chosen.name == "tflite-int8" and len(patch) == 3:
        return ethos.preferred_forms(target)
    return (None,)


def first_form(forms: Sequence[str | None], make: Callable, what: str, tell: Callable[[str], None] = print):
    """What ``make`` gives for the first form that the network and the target take.

    Args:
        forms: to try.
        make: function of a form.
        what: is being made, for messages.
        tell: takes a line of progress.

    Raises:
        RewriteError, EthosError: of the last form.
    """
    for form, after in zip(forms, (*forms[1:], None), strict=True):
        if len(forms) > 1:
            tell(f"{what}: 3D layers in the form {form!r}")
        try:
            return make(form)
        except (RewriteError, EthosError) as error:
            if form == forms[-1]:
                raise
            tell(f"{what}: {error}; falling back to the form {after!r}")
    raise ValueError("no form given")
