# The operator: the controller (default) and `streamqueue.maintenance`, which the reclaim CronJob runs.
# Dependencies are installed outside, from the lock file, into dist/dependencies/operator: `make images` does both.
ARG BASE=python:3.11-slim-bookworm
FROM $BASE
# Compiled here: at run time the file system is read-only, and each start would compile anew.
COPY dist/dependencies/operator /app/dependencies
RUN python3 -m compileall -q -j 0 /app/dependencies
COPY operator/streamqueue /app/code/streamqueue
RUN python3 -m compileall -q /app/code
ENV PYTHONPATH=/app/code:/app/dependencies PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /app
USER 65532:65532
ENTRYPOINT ["python3", "-m"]
CMD ["streamqueue.controller"]
