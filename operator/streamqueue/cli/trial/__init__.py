"""What `simulate` is told: the manifest to try, and the arrivals to try it on."""
