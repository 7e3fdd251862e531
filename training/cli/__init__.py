"""`nadenoise-train`, one file a command."""

from training.cli.main import main, program

__all__ = ["main", "program"]
