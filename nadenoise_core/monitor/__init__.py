"""A local web page that shows scans as they run."""
