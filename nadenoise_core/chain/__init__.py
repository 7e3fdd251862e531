"""Gadgets, their properties, chain files, and running them."""
