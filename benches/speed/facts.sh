# What somebody would write by hand who wants to know, in one go, whether a
# mail server is as it should be. It reads what a plan reads, with as few
# programs as possible, and compares nothing.
. /etc/os-release
echo "$ID $VERSION_ID $PRETTY_NAME"
dpkg --print-architecture
cat /proc/sys/kernel/hostname
readlink /etc/localtime
ip -4 route get 1.0.0.0
ip -6 route get 2000::
cat /proc/net/if_inet6
grep -Hs . /sys/class/net/*/ifindex /proc/sys/net/ipv6/conf/*/disable_ipv6 /proc/sys/net/ipv6/conf/*/use_tempaddr
grep -Hs ^NETWORK_FILE= /run/systemd/netif/links/*
grep -hs -e ^deb -e ^URIs: /etc/apt/sources.list /etc/apt/sources.list.d/*
ss -Hltnp
command -v nft && nft -n list ruleset
command -v iptables-save && iptables-save
dpkg-query -W -f='${db:Status-Abbrev}${Package} ${Version}\n' adduser ca-certificates chasquid openssl
systemctl show --no-pager -p Id,LoadState,ActiveState,UnitFileState \
  chasquid.service chasquid-smtp.socket chasquid-submission.socket chasquid-submission_tls.socket fail2ban.service
set --
for file in /var/lib/mailctl/ledger.json /etc/hosts /etc/hostname /etc/default/locale \
  /etc/sysctl.d/99-zz-mailctl.conf /etc/netplan/60-mailctl.yaml /etc/apt/keyrings/mailctl-debian-archive.asc \
  /etc/apt/preferences.d/mailctl-chasquid /etc/apt/apt.conf.d/52mailctl-chasquid /etc/apt/apt.conf.d/52mailctl-upgrades \
  /etc/apt/sources.list.d/mailctl-chasquid.sources /etc/fail2ban/jail.d/mailctl.local \
  /etc/chasquid/chasquid.conf /usr/local/lib/mailctl/deliver /etc/chasquid/certs/*/fullchain.pem \
  /etc/chasquid/certs/*/authority /etc/chasquid/domains/*/users /etc/chasquid/domains/*/aliases; do
  [ ! -f "$file" ] || set -- "$@" "$file"
done
stat -L -c '%s %a %U %G %n' "$@" /etc/chasquid/domains/*
tail -n +1 "$@"
for key in /etc/chasquid/domains/*/dkim:*.pem /etc/chasquid/certs/*/privkey.pem; do
  openssl pkey -in "$key" -pubout
done
