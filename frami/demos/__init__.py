"""The main job in minutes."""
