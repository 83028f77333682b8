"""How the network does in service: corrections over time, drift of scans and results, limits and alerts."""
