"""`python3 -m streamqueue.cli`."""

from streamqueue.cli.main import main

main()
