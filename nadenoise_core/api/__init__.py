"""The Python API, `import nadenoise_core as nd`: the chain's steps as functions on files, arrays and images."""
