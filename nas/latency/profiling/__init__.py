"""Profiling: times of a space's units and networks, measured on a device's own runtime."""
