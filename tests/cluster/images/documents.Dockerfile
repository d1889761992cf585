# The document pipeline: one image for the upload API and the four stages.
ARG BASE=python:3.11-slim-bookworm
FROM $BASE
COPY dist/dependencies/documents /app/dependencies
RUN python3 -m compileall -q -j 0 /app/dependencies
COPY operator/streamqueue /app/sdk/streamqueue
COPY examples/documents /app/documents
RUN python3 -m compileall -q /app/sdk /app/documents
ENV PYTHONPATH=/app/dependencies:/app/sdk PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /app/documents
USER 65532:65532
ENTRYPOINT ["python3"]
