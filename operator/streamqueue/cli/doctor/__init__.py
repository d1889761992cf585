"""`doctor`: gather the facts, then a chain of small pure checks; each names a cause and the next command."""
