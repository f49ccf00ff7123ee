"""Value types of the keeper: frozen, with no behaviour but their own arithmetic. Nothing here touches the outside."""
