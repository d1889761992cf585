# Static programs of other projects: each is a pod's command.
FROM scratch
COPY . /
