"""The networks, one file per family; each builder serves 2D and 3D by the rank of its input shape."""
