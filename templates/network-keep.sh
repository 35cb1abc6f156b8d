# The new network was confirmed: it moves from /run to /etc, to stay.
systemctl stop mailctl-network-revert.timer 2>/dev/null
if [ ! -e /run/netplan/60-mailctl.yaml ] || systemctl -q is-active mailctl-network-revert.service; then
  fail 1 'the server has just put the old network back'
fi
