# All example handlers: Python, redis-py and the examples folder.
ARG BASE=python:3.11-slim-bookworm
FROM $BASE
COPY dist/dependencies/examples /app/dependencies
RUN python3 -m compileall -q -j 0 /app/dependencies
COPY examples /app/examples
ENV PYTHONPATH=/app/dependencies PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /app/examples
USER 65532:65532
ENTRYPOINT ["python3"]
