"""The loop that trains a network, on labels or on a teacher."""
