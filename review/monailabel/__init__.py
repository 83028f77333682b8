"""MONAI Label's REST interface over a review, so that 3D Slicer's plugin and other clients of it work unchanged.

As https://docs.monai.io/projects/label and its public sources describe it, version 0.8.
"""
