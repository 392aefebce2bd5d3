"""`python -m presenced`: the same as the console script."""

from presenced.cli.main import main

main()
