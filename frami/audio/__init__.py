"""From sound to spectrogram and back: the front end, its filterbanks, reading, transforms, mixing."""
