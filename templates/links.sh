# Which network file systemd-networkd took for each link, and what else could set up a network.
grep -Hs . /sys/class/net/*/ifindex
grep -Hs ^NETWORK_FILE= /run/systemd/netif/links/*
if command -v netplan >/dev/null 2>&1; then echo netplan; fi
if [ -e /etc/network/interfaces ]; then echo ifupdown; fi
for file in /run/systemd/network/*.netdev; do if [ -e "$file" ]; then echo "$file"; fi; done
