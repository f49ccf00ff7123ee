"""Everything that talks to a node: connections, ABIs, address books, deployments and keys."""
