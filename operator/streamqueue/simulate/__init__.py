"""Try a scaling configuration on a trace before it is rolled out: the shipped `decide` against a simulated fleet."""
