"""What the operator's loop over pods and the laptop's loop over processes share."""
