"""What a classifier is: its network, its task, and the bundle that it is saved in."""
