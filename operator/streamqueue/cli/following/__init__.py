"""Following one task through its entries: the first, its retries' copies, its dead letter."""
