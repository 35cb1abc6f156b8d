#!/bin/sh
# Boots the server: sh server.sh ROOT NUMBER
#
# With --keep-unit systemd-nspawn does not reboot a container itself but ends
# with status 133, so that whoever started it does.

root=$1 number=$2

# Where systemd runs, systemd-nspawn asks it for a scope of the server's own.
# Elsewhere the server would share our control group, and with it the units of
# other worlds: it gets one here, in each hierarchy that systemd would use.
keep_unit=
if [ "$(cat /proc/1/comm)" != systemd ]; then
    keep_unit=--keep-unit
    for hierarchy in /sys/fs/cgroup /sys/fs/cgroup/systemd /sys/fs/cgroup/unified; do
        if [ -e "$hierarchy/cgroup.procs" ]; then
            mkdir -p "$hierarchy/mailctl-lab-$number" &&
                echo $$ >"$hierarchy/mailctl-lab-$number/cgroup.procs"
        fi
    done
fi

# Without a writable /sys, udev and with it `netplan apply` fail inside.
export SYSTEMD_NSPAWN_API_VFS_WRITABLE=yes
while :; do
    systemd-nspawn --register=no $keep_unit --directory="$root" \
        --machine="mailctl-$number" --network-bridge="mailctl-$number" \
        --settings=no --resolv-conf=off --timezone=off --link-journal=no \
        --console=read-only --boot
    [ $? -eq 133 ] || break
done
