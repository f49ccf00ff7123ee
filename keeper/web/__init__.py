"""What a keeper serves by HTTP."""
