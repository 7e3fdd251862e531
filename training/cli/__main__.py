"""`python -m training.cli`, for torchrun."""

from training.cli.main import main

if __name__ == "__main__":
    main()
