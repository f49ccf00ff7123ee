"""What people do with a vault: deploy, deposit, quote, redeem. The CLI and the ape scripts are thin over it."""
