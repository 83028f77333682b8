"""The node: a DICOM service that takes series in, segments them and sends the results on; HTTP beside it.

    config = read_config("node.toml")
    with Node(config) as node:
        node.wait()

Every received instance is on disk before the sender is told so; all work is rows of a database that outlives the
process. Names are loaded when first used.
"""

from medseg.packages.lazy import lazy_names

_NAMES = {"Config": "config", "Node": "service", "read_config": "config"}

__getattr__, __dir__, __all__ = lazy_names(__name__, _NAMES)
