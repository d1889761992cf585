# The example handlers of protocol http: Python with FastAPI, Node, and Go as one static program.
ARG BASE=python:3.11-slim-bookworm
FROM $BASE AS go
RUN apt-get update -qq \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends golang-go
COPY examples/http/go /source
RUN cd /source && CGO_ENABLED=0 GOCACHE=/tmp/cache go build -trimpath -ldflags="-s -w" -o /handler .

FROM $BASE
RUN apt-get update -qq \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends nodejs \
 && rm -rf /var/lib/apt/lists/*
COPY dist/dependencies/examples-http /app/dependencies
RUN python3 -m compileall -q -j 0 /app/dependencies
COPY examples/http /app/examples/http
COPY --from=go /handler /app/examples/http/go/handler
ENV PYTHONPATH=/app/dependencies PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER 65532:65532
