"""`nadenoise model`: List and describe the networks (bundles)."""
