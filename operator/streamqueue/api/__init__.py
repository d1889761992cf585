"""The StreamQueue resource as typed values. Pure: no I/O, no kopf, redis or kubernetes."""
