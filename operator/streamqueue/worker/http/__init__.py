"""The http runner: reads the stream as a worker of the SDK does, and POSTs each task to a handler in any language."""
