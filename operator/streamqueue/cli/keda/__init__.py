"""A KEDA ScaledObject as a StreamQueue. Pure: objects in, an object and notes out."""
