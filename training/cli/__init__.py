"""`nadenoise-train`, one file a command."""
