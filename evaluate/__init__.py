"""Questions to a model, one file each: how accurate, how much in agreement with its teacher, how large and slow."""
