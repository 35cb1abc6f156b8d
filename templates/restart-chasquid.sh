# chasquid learns of what changed. systemd keeps the ports open meanwhile, so
# that connections wait instead of being refused.
sockets='chasquid-smtp.socket chasquid-submission.socket chasquid-submission_tls.socket'
restarts() { systemctl show -p NRestarts --value chasquid.service; }
greeting() {
  timeout 5 bash -c 'exec 3<>/dev/tcp/127.0.0.1/25 && IFS= read -r line <&3 && printf "QUIT\r\n" >&3 && printf "%s" "$line"' 2>/dev/null
}
broken() {
  journalctl -u chasquid.service -t chasquid -n 3 --no-pager -o cat >"$log" 2>&1
  oops "$1" "$log"
}
chasquid-util -C=/etc/chasquid print-config >"$log" 2>&1 || oops 'chasquid refuses its configuration and was not restarted' "$log"
systemctl daemon-reload
systemctl reset-failed chasquid.service 2>/dev/null
systemctl -q enable chasquid.service $sockets >"$log" 2>&1 || oops 'chasquid cannot be started at boot' "$log"
systemctl start $sockets >"$log" 2>&1 || oops 'the ports cannot be opened' "$log"
if [ "$how" = reload ]; then
  before=$(restarts)
  systemctl kill --signal=HUP --kill-who=main chasquid.service >"$log" 2>&1 || oops 'chasquid cannot be told to read its files again' "$log"
  sleep 1
  [ "$(restarts)" = "$before" ] || broken 'chasquid did not survive reading its files again'
else
  systemctl restart chasquid.service >"$log" 2>&1 || broken 'chasquid does not start'
fi
for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
  case $(greeting) in
    220*)
      # It may greet once and fall over its next file.
      systemctl -q is-active chasquid.service || broken 'chasquid does not stay up'
      rm -f /run/mailctl/restart-due
      exit 0 ;;
  esac
  [ "$how" = reload ] || [ "$(restarts)" -lt 3 ] || broken 'chasquid starts, and ends again'
  sleep 0.5
done
broken 'chasquid runs, but does not answer on port 25'
