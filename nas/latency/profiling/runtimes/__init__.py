"""The runtimes a model can be exported to and timed under, one file each."""
