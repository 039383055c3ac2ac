"""`python -m ptgflow` is `ptgflow`."""

from ptgflow.cli.main import run

if __name__ == "__main__":
    run()
