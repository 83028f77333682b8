"""The layouts of batch 1: depth folded into height, or width into channels, for accelerators that take no larger batch.

A 3D feature map (depth, height, width, channels) is one tensor of batch 1 that holds its values in that order. Any two
neighbouring axes of it can be read as one, so a reshape that moves nothing turns one layout into another, and each rule
reads its input in the way that suits it.
"""
