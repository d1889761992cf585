# What kind's own base image does, on Debian bookworm's packages. files/ is images/base/files of the kind module.
# Containers start with crun, without systemd, and without kind's hook, which gives each node a product id of its own.
# crun gives no HOME to a user without a name.
ARG BASE
FROM $BASE
COPY files/usr/local/bin/ /usr/local/bin/
COPY files/kind/ /kind/
COPY files/etc/ /etc/
COPY 10-bridge.conflist /etc/cni/net.d/
COPY default-cni.yaml default-storage.yaml /kind/manifests/
COPY kubernetes /usr/bin/kubernetes
ARG KUBERNETES_VERSION
RUN chmod 755 /usr/local/bin/* /kind /kind/bin /kind/bin/* && chmod -R go+rX /etc/containerd /etc/systemd/system \
 && rm -f /lib/systemd/system/multi-user.target.wants/* /etc/systemd/system/*.wants/* \
      /lib/systemd/system/local-fs.target.wants/* /lib/systemd/system/sockets.target.wants/*udev* \
      /lib/systemd/system/sockets.target.wants/*initctl* /lib/systemd/system/basic.target.wants/* \
      /lib/systemd/system/sysinit.target.wants/systemd-tmpfiles-setup.service \
 && echo "ReadKMsg=no" >> /etc/systemd/journald.conf \
 && ln -s /usr/bin/containerd /usr/local/bin/containerd \
 && mkdir -p /opt/cni/bin /etc/kubernetes/manifests && ln -s /usr/lib/cni/* /opt/cni/bin/ \
 && sed -i 's/restrict_oom_score_adj = false/restrict_oom_score_adj = true/' /etc/containerd/config.toml \
 && sed -i 's/SystemdCgroup = true/BinaryName = "crun"/' /etc/containerd/config.toml \
 && sed -i 's/^KUBELET_EXTRA_ARGS=/&--cgroup-driver=cgroupfs /' /etc/default/kubelet \
 && ctr oci spec | jq 'del(.process.rlimits) | .process.env += ["HOME=/"]' > /etc/containerd/cri-base.json \
 && systemctl enable kubelet.service containerd.service undo-mount-hacks.service && systemctl mask systemd-binfmt.service \
 && for name in kubeadm kubelet kubectl; do ln -s kubernetes /usr/bin/$name; done \
 && printf %s "$KUBERNETES_VERSION" > /kind/version
ENV container=docker
STOPSIGNAL SIGRTMIN+3
ENTRYPOINT ["/usr/local/bin/entrypoint", "/sbin/init"]
