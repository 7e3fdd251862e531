"""Concentrations of regions in many scans: one table."""
