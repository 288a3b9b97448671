"""Audio: files, the front end, filterbanks, spectrogram transforms and mixing."""
