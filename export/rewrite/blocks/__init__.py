"""Several slices of depth side by side in the channels, for runtimes whose matrix unit is wider than a layer.

AMX computes 64 output channels from 64 input channels of a tap, whether a layer has 16 or 64. A convolution of 16 that
makes four slices at once, from the six that they see, fills it, and reads six copied slices instead of twelve.
"""
