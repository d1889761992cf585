"""One script per contender: `<script> fill` enqueues, `<script> work` runs one worker process."""
