#!/bin/sh
# Removes the world in whose directory this script lies: processes, mounts,
# network, files. Everything of it is named after its number, the directory's name.
#
#   sh remove.sh           removes it now
#   sh remove.sh --watch   removes it as soon as standard input ends, which it
#                          does when the owner is gone, however it went;
#                          a line `keep` on standard input: leaves it running

# "PID START" of a pid file names a process for good: a reused PID starts later.
# A zombie is gone already; only its parent has not looked yet.
running() {
    read -r pid start <"$1" 2>/dev/null || return 1
    stat=$(sed 's/^.*) //' "/proc/$pid/stat" 2>/dev/null) || return 1
    case $stat in Z*) return 1 ;; esac
    # Field 22 of stat(5); the first two are cut off above.
    [ "$(echo "$stat" | cut -d' ' -f20)" = "$start" ]
}

# Runs a command again until it succeeds, for ten seconds.
insist() {
    tries=0
    until "$@" 2>/dev/null; do
        tries=$((tries + 1))
        [ "$tries" -lt 200 ] || return 1
        sleep 0.05
    done
}

gone() { ! running "$1"; }

unmounted() { ! mountpoint -q "$1" || umount "$1"; }

# The server's PID 1 outlives a killed systemd-nspawn. It and all below it have
# the world's disk as root; killing PID 1 of a namespace kills the rest.
deserted() {
    disk="$dir/disk/upper"
    inhabitants=$(grep -lsE "^[^-]* / / .* - overlay .*upperdir=$disk," /proc/[0-9]*/mountinfo)
    for process in $inhabitants; do
        process=${process#/proc/}
        kill -KILL "${process%/*}"
    done
    [ -z "$inhabitants" ]
}

remove_cgroup() {
    [ ! -d "$1" ] || find "$1" -depth -type d -exec rmdir {} + 2>/dev/null
    [ ! -d "$1" ]
}

main() {
    number=${dir##*/}
    if [ "${1-}" = --watch ]; then
        trap '' HUP INT TERM
        read -r word && [ "$word" = keep ] && exit 0
    fi

    # Each program leads a process group.
    for file in "$dir"/pid/*; do
        ! running "$file" || kill -KILL "-$pid"
    done
    for file in "$dir"/pid/*; do
        [ ! -e "$file" ] || insist gone "$file"
    done

    insist deserted
    insist unmounted "$dir/root" || umount --lazy "$dir/root"
    ! ip link show "mailctl-$number" >/dev/null 2>&1 || ip link delete "mailctl-$number"
    # The second is made by tests that put something in the way.
    nft delete table ip "mailctl_lab_$number" 2>/dev/null
    nft delete table inet "mailctl_lab_$number" 2>/dev/null
    for hierarchy in /sys/fs/cgroup /sys/fs/cgroup/systemd /sys/fs/cgroup/unified; do
        insist remove_cgroup "$hierarchy/mailctl-lab-$number"
    done
    for left in unix-export propagate; do
        left=/run/systemd/nspawn/$left/mailctl-$number
        ! mountpoint -q "$left" || umount "$left"
        [ ! -d "$left" ] || rmdir "$left"
    done

    # The last world puts forwarding back; the lock is that of claiming a number.
    {
        flock 9
        rm -rf --one-file-system "$dir"
        if [ -e /run/mailctl-lab.ip_forward ] && [ -z "$(ls "$(dirname "$dir")")" ]; then
            cat /run/mailctl-lab.ip_forward >/proc/sys/net/ipv4/ip_forward
            rm /run/mailctl-lab.ip_forward
        fi
    } 9<"$(dirname "$dir")"
    exit
}

dir=$(cd "$(dirname "$0")" && pwd -P) || exit 1
cd / && main "$@"
