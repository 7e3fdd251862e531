"""ISMRMRD in memory and on disc."""
