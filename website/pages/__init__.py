"""Pages that are written from the code: tricks, commands, the experiment file, the Python API."""
