"""The small files that `kind_image.py` puts into a node image: scripts, stand-ins, a storage class, the pod network."""

from __future__ import annotations

from typing import Final

IMPORT_IMAGES: Final = """#!/bin/sh
[ -e /kind/images/.done ] && exit 0
for image in /kind/images/*.tar; do /usr/local/bin/ctr --namespace k8s.io images import "$image"; done
touch /kind/images/.done
"""
SHOW_SYSCTLS: Final = """#!/bin/sh
# kubelet insists on these and would set them for the whole machine: it is shown files that already say so
mkdir -p /kind/sysctl
for pair in vm/overcommit_memory=1 vm/panic_on_oom=0 kernel/panic=10 kernel/panic_on_oops=1 \\
  kernel/keys/root_maxkeys=1000000 kernel/keys/root_maxbytes=25000000; do
  file=/kind/sysctl/$(basename "${pair%=*}")
  echo "${pair#*=}" > "$file"
  mountpoint -q "/proc/sys/${pair%=*}" || mount --bind "$file" "/proc/sys/${pair%=*}"
done
"""
UPDATE_ALTERNATIVES: Final = """#!/bin/sh
# stand-in for dpkg's, which is not here: --set NAME PATH
for suffix in '' -save -restore; do ln -sf "$3$suffix" "/usr/sbin/$2$suffix"; done
"""
CRICTL: Final = """#!/bin/sh
# stand-in: kind asks it only which images there are
echo '{}'
"""
STORAGE_CLASS: Final = """apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: standard, annotations: {storageclass.kubernetes.io/is-default-class: "true"}}
provisioner: kubernetes.io/no-provisioner
volumeBindingMode: WaitForFirstConsumer
"""
NETWORK: Final = {
    "cniVersion": "1.0.0",
    "name": "testbed",
    "plugins": [
        {
            "type": "bridge", "bridge": "cni0", "isGateway": True, "hairpinMode": True, "ipMasq": False,
            "ipam": {"type": "host-local", "ranges": [[{"subnet": "10.244.0.0/24"}]], "routes": [{"dst": "0.0.0.0/0"}]},
        },
        {"type": "portmap", "capabilities": {"portMappings": True}},
    ],
}  # fmt: skip
