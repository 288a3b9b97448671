"""What a store, a bundle or a run is: text, pictures and tables."""
