"""One raw file through a chain into a folder of results."""
