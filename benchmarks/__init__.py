"""Side by side with the peers, one command: `python -m benchmarks`, or `make bench`."""
