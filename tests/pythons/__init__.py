"""Later Pythons than the one that runs the tests, unpacked from Debian's packages into the private cache."""
