"""Export: files of a student for a device, with the figures that they were checked by."""
