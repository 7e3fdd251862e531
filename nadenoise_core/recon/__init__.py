"""From averaged k-space to complex images."""
