"""What the documentation site is made of beside its pages: blocks that are run, and reference made from the code."""
