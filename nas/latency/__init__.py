"""Latency on devices: tables of timed units, models fitted on them, and networks as sums of their units."""
