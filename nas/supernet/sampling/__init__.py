"""Which subnets each training step trains."""
