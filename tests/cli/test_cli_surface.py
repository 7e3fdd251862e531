"""What a command line has: short help, version, completion, JSON, plain tables, one line for a fault."""

from __future__ import annotations
