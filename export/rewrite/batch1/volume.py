"""A 3D feature map in a tensor of batch 1, and the ways to read it as an image."""

from collections.abc import Callable, Sequence

from keras import ops, tree


class Volume:
    """A 3D feature map whose values lie, in the order of its axes, in one tensor of batch 1.

    What a convolution gives may still be in parts: a pointwise function is then applied to each (so that runtimes fuse
    it into the convolution), and they are joined when another rule asks for a view.

    Args:
        shape: (depth, height, width, channels).
        parts: tensors.
        join: from ``parts`` to one tensor of the values of ``shape``; None for a single one that has them already.
        members: the feature maps that it consists of along channels, where those are several.
    """

    def __init__(self, shape: Sequence[int], parts: Sequence, join: Callable | None = None, members: Sequence = ()):
        self.members = tuple(members) or (self,)
        self.shape = tuple(int(n) for n in shape)
        self.parts = list(parts)
        self._join = join
        self._views: dict[tuple, object] = {}

    @property
    def dtype(self) -> str:
        """Of its values."""
        return self.parts[0].dtype

    @property
    def tensors(self) -> list:
        """Every emitted tensor that holds its values."""
        return [*self.parts, *self._views.values()]

    @property
    def whole(self) -> bool:
        """Whether the parts have been joined."""
        return bool(self._views)

    @property
    def joined(self):
        """The values as one tensor, of any of the shapes below."""
        if not self._views:
            joined = self.parts[0] if self._join is None else self._join(self.parts)
            self._views[tuple(joined.shape)] = joined
        return next(iter(self._views.values()))

    def view(self, *shape: int):
        """The values as a tensor of another shape."""
        joined = self.joined
        if shape not in self._views:
            self._views[shape] = ops.reshape(joined, shape)
        return self._views[shape]

    def rows(self):
        """(1, depth, height × width, channels): what happens along depth alone."""
        depth, height, width, channels = self.shape
        return self.view(1, depth, height * width, channels)

    def columns(self):
        """(1, depth × height, width, channels): the layout "height"; what happens along width or channels."""
        depth, height, width, channels = self.shape
        return self.view(1, depth * height, width, channels)

    def planes(self):
        """(1, depth, height, width × channels): the layout "channels"; what happens along depth and height."""
        depth, height, width, channels = self.shape
        return self.view(1, depth, height, width * channels)

    def map(self, function: Callable) -> "Volume":
        """The same after a function of each value."""
        return Volume(self.shape, [function(part) for part in self.parts], self._join)


def along_depth(volume: Volume, function: Callable) -> Volume:
    """``function`` of the view ``rows``; its result has the same columns."""
    _, height, width, _ = volume.shape
    y = function(volume.rows())
    return Volume((y.shape[1], height, width, y.shape[3]), [y])


def along_width(volume: Volume, function: Callable) -> Volume:
    """``function`` of the view ``columns``; its result has the same rows."""
    depth, height, _, _ = volume.shape
    y = function(volume.columns())
    return Volume((depth, height, *y.shape[2:]), [y])


def along_planes(volume: Volume, function: Callable) -> Volume:
    """``function`` of the view ``planes``; its result has the same width and channels."""
    _, _, width, channels = volume.shape
    y = function(volume.planes())
    return Volume((*y.shape[1:3], width, channels), [y])


def layout(fold: str, shape: Sequence[int]) -> tuple[int, ...]:
    """Shape of the tensor that holds an image or a feature map.

    Args:
        fold: "batch", "height" or "channels", of 3D feature maps.
        shape: (*spatial, channels).
    """
    if len(shape) != 4:
        return (1, *shape)
    depth, height, width, channels = shape
    return {
        "batch": (depth, height, width, channels),
        "height": (1, depth * height, width, channels),
        "channels": (1, depth, height, width * channels),
    }[fold]


def carried(tensor, fold: str, shape: Sequence[int]):
    """What rules are given for a tensor that holds an image or a feature map of ``shape`` (*spatial, channels)."""
    return Volume(shape, [tensor]) if len(shape) == 4 and fold != "batch" else tensor


def laid_out(value, fold: str):
    """The tensor, in the layout asked for, of what a rule returned."""
    return value.view(*layout(fold, value.shape)) if isinstance(value, Volume) else value


def tensors_of(values) -> list:
    """The tensors that ``values`` hold: feature maps, tensors, or structures of them."""
    values = tree.flatten(values)
    return [t for value in values for t in (value.tensors if isinstance(value, Volume) else [value])]
