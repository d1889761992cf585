"""Redis servers and clusters: their clients, and what runs once for each of them."""
