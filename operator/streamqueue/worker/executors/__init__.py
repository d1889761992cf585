"""Where handlers run: tasks of the event loop, threads, and copies of the process."""
