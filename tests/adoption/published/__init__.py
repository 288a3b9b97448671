"""Networks with published checkpoints that the suite does not train."""
