"""Chain files that come with nadenoise."""
