# What runs, what is due, and the keys that mail is signed with; only their names.
. /etc/os-release
echo "system=${PRETTY_NAME-}"
echo "chasquid=$(dpkg-query -W -f='${Version}' chasquid 2>/dev/null)"
if [ -e /run/mailctl/restart-due ]; then echo restart-due; fi
if [ -e /run/reboot-required ]; then echo "reboot=$(sort -u /run/reboot-required.pkgs 2>/dev/null | tr '\n' ' ')"; fi
for f in /etc/chasquid/domains/*/dkim:*.pem /var/lib/mailctl/dkim/*/*.pem; do
  if [ -f "$f" ]; then echo "key=$f"; fi
done
