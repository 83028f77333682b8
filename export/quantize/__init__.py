"""Integer networks: calibration, ranges, channel groups, skip connections, int8 of each format."""
