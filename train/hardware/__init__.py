"""What a training runs on: devices, precision, and layers that take less time there."""
