# The operator: the controller (default) and `streamqueue.maintenance`, which the reclaim CronJob runs.
# Dependencies are installed outside, from the lock file, into dist/dependencies/operator: `make images` does both.
ARG BASE=python:3.11-slim-bookworm
FROM $BASE
COPY dist/dependencies/operator /app/dependencies
COPY operator/streamqueue /app/code/streamqueue
ENV PYTHONPATH=/app/code:/app/dependencies PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /app
USER 65532:65532
ENTRYPOINT ["python3", "-m"]
CMD ["streamqueue.controller"]
