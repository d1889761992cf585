"""`python -m tests.demo`: one queue from zero pods up and back to zero, on the cluster that `make cluster-up` made."""
