"""The plumbing that gadgets stand on: headers, items, gadgets, chains, runners."""
