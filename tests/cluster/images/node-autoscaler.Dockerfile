# Karpenter with its KWOK provider, and KWOK: two static programs, each a pod's command.
FROM scratch
COPY karpenter kwok /
