"""The shipped bundles, their checksums and their model cards."""
