"""What an artifact costs on a device: memory, latency, processor, Arm NPUs."""
