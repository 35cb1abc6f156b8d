# How systemd has the units that mailctl looks after, a stanza each.
systemctl show --no-pager -p Id,LoadState,ActiveState,UnitFileState \
  chasquid.service chasquid-smtp.socket chasquid-submission.socket chasquid-submission_tls.socket fail2ban.service
echo
if [ -e /run/mailctl/restart-due ]; then echo Id=restart-due; fi
