"""Training data: clean objects kept on disk, and scenes composed of them as a spiral scan shows them."""
