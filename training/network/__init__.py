"""Networks, and what a trained one is kept as: a run or a bundle."""
