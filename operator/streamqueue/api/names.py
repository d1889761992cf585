"""Names as Kubernetes allows them: patterns for a whole text, in what Python and CEL both read. Lengths are apart."""

LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"  # of DNS; what a namespace is named by
OBJECT_NAME = f"{LABEL}([.]{LABEL})*"  # a DNS subdomain; what most objects are, Secrets among them
