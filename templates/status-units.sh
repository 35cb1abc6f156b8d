# chasquid's units as systemd has them, a stanza each, times in UTC.
TZ=UTC systemctl show --no-pager -p Id,LoadState,ActiveState,SubState,UnitFileState,ActiveEnterTimestamp,StateChangeTimestamp,NRestarts,MainPID,Listen \
  chasquid.service chasquid-smtp.socket chasquid-submission.socket chasquid-submission_tls.socket || exit 1
echo
pid=$(systemctl show -p MainPID --value chasquid.service)
if [ "${pid:-0}" != 0 ]; then echo "exe=$(readlink "/proc/$pid/exe")"; fi
if ! systemctl -q is-active chasquid.service; then
  journalctl -q --no-pager -u chasquid.service -t chasquid -n 3 -o cat | sed 's/^/log=/'
fi
