# Puts the new network on trial. It lies in /run, which shadows /etc: a reboot
# within the trial brings the old network back, and so does the timer.
mkdir -p /run/mailctl /run/netplan
units='mailctl-network-revert.timer mailctl-network-revert.service mailctl-network-apply.service'
# shellcheck disable=SC2086 # several names
systemctl stop $units 2>/dev/null
# shellcheck disable=SC2086 # several names
systemctl reset-failed $units 2>/dev/null
rm -f /run/mailctl/network-applied
had_address=no had_route=no
if [ -n "$address" ] && [ -n "$(ip -6 -o addr show dev "$interface" to "$address" 2>/dev/null)" ]; then had_address=yes; fi
if [ -n "$gateway" ] && [ -n "$(ip -6 route show default via "$gateway" dev "$interface" 2>/dev/null)" ]; then had_route=yes; fi
(umask 077; print_new >/run/netplan/60-mailctl.yaml) 2>"$log" || oops 'the new network cannot be written' "$log"
if ! netplan generate >"$log" 2>&1; then
  rm -f /run/netplan/60-mailctl.yaml
  netplan generate >/dev/null 2>&1
  oops 'netplan refuses the new network; the old one stays' "$log"
fi
cat >/run/mailctl/network-revert <<END
# The trial was not confirmed: the network is as it was before.
rm -f /run/netplan/60-mailctl.yaml
netplan apply
if [ -n '$address' ] && [ $had_address = no ]; then ip -6 addr del '$address' dev '$interface' 2>/dev/null; fi
if [ -n '$gateway' ] && [ $had_route = no ]; then ip -6 route del default via '$gateway' dev '$interface' 2>/dev/null; fi
exit 0
END
systemd-run --quiet --collect --unit=mailctl-network-revert --on-active="$seconds" --timer-property=AccuracySec=100ms \
  /bin/sh /run/mailctl/network-revert >"$log" 2>&1 || {
  rm -f /run/netplan/60-mailctl.yaml
  netplan generate >/dev/null 2>&1
  oops 'the way back cannot be prepared, so the network stays as it is' "$log"
}
# Not under this connection, which may not survive it.
systemd-run --quiet --collect --unit=mailctl-network-apply /bin/sh -c \
  'netplan apply >/run/mailctl/network-log 2>&1; echo $? >/run/mailctl/network-applied.new; mv /run/mailctl/network-applied.new /run/mailctl/network-applied' \
  >"$log" 2>&1 || {
  /bin/sh /run/mailctl/network-revert >/dev/null 2>&1
  systemctl stop mailctl-network-revert.timer 2>/dev/null
  oops 'the new network cannot be started; the old one stays' "$log"
}
