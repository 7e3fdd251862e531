"""Whole jobs: virtual scans, replays of raw files, and their reports."""
