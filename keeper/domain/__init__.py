"""Value types of the keeper: frozen, without behaviour beyond their own arithmetic. Nothing here touches the outside."""
