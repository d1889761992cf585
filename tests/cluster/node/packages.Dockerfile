# The node's Debian packages, in a layer of their own: they install while Go builds.
ARG BASE
FROM $BASE
RUN apt-get update -qq \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
      systemd systemd-sysv containerd runc crun containernetworking-plugins conntrack iptables nftables iproute2 ethtool \
      util-linux mount kmod procps curl jq socat ebtables \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin /usr/share/doc /usr/share/man
