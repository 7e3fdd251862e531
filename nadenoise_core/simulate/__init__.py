"""A virtual scan as an ISMRMRD file."""
