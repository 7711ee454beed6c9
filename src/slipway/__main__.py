"""`python -m slipway` is the command `slipway`."""

from slipway.cli.main import main

if __name__ == "__main__":
    main()
