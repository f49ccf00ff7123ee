"""Keel's keeper: values the vault's book, decides on hedges and submits them."""
