"""`python -m keeper.cli`."""

from keeper.cli import main

main()
