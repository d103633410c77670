"""Many machines: sweeps of studies, evaluation by workers, data-parallel training; all on Ray."""
