"""What the book is worth and how much it can lose: the contracts' engine mirrored, in integers and in floats."""
