# A mail server by hand: what somebody types who knows exactly what is needed,
# asks nothing and checks nothing twice. Set before: host, domain, address6,
# gateway6, packages, full (yes: apt reads all its sources), users (the file's
# text), and key, which prints the archive's keys.
set -eu
umask 022
export DEBIAN_FRONTEND=noninteractive

printf 'net/ipv6/conf/%s/disable_ipv6 = 0\n' all default lo eth0 >/etc/sysctl.d/99-zz-mail.conf
sysctl -q -p /etc/sysctl.d/99-zz-mail.conf
(umask 077; cat >/etc/netplan/60-mail.yaml) <<END
network:
  version: 2
  ethernets:
    eth0:
      addresses: [$address6]
      routes: [{to: "::/0", via: "$gateway6"}]
END
netplan apply
printf '%s\n' "${host%%.*}" >/etc/hostname
hostname "${host%%.*}"
printf '127.0.1.1 %s %s\n' "$host" "${host%%.*}" >>/etc/hosts

mirror=$(sed -n 's/^deb \([^ ]*\) bookworm main.*/\1/p' /etc/apt/sources.list | head -n 1)
mkdir -p /etc/apt/keyrings
key >/etc/apt/keyrings/testing.asc
cat >/etc/apt/preferences.d/chasquid <<END
Package: *
Pin: release o=Debian,a=testing
Pin-Priority: -1

Package: chasquid
Pin: release o=Debian,a=testing
Pin-Priority: 990
END
cat >/etc/apt/sources.list.d/testing.sources <<END
Types: deb
URIs: $mirror
Suites: testing
Components: main
Languages: none
PDiffs: no
Targets: Packages
Signed-By: /etc/apt/keyrings/testing.asc
END
printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
chmod 755 /usr/sbin/policy-rc.d
if [ "$full" = yes ]; then
  apt-get update -qq
else
  apt-get update -qq -o Dir::Etc::sourcelist=sources.list.d/testing.sources -o Dir::Etc::sourceparts=- -o APT::Get::List-Cleanup=0
fi
# shellcheck disable=SC2086 # several names
apt-get install -qq -y --no-install-recommends -o Dpkg::Use-Pty=0 $packages >/dev/null
rm /usr/sbin/policy-rc.d

cat >/etc/chasquid/chasquid.conf <<END
hostname: "$host"
max_data_size_mb: 50
data_dir: "/var/lib/chasquid"
suffix_separators: "+"
drop_characters: "."
mail_log_path: "<syslog>"
END
certificate=/etc/chasquid/certs/$host
mkdir -p "$certificate"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 90 -subj "/CN=$host" \
  -addext "subjectAltName=DNS:$host,DNS:$domain,DNS:*.$domain" \
  -keyout "$certificate/privkey.pem" -out "$certificate/fullchain.pem" 2>/dev/null
mail=/etc/chasquid/domains/$domain
mkdir -p "$mail"
openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out "$mail/dkim:bench.pem" 2>/dev/null
printf '%s' "$users" >"$mail/users"
printf 'i: i.wac.tax@gmail.com\n*: b@far.example\n' >"$mail/aliases"
chown -R root:chasquid "$certificate" /etc/chasquid/domains
chmod 750 "$mail" "$certificate"
chmod 640 "$mail"/* "$certificate"/*

if [ -d /etc/fail2ban/jail.d ]; then
  printf '[sshd]\nbackend = systemd\nenabled = true\nbanaction = nftables-multiport\n' >/etc/fail2ban/jail.d/mail.local
  systemctl restart fail2ban.service
fi
sockets='chasquid-smtp.socket chasquid-submission.socket chasquid-submission_tls.socket'
systemctl daemon-reload
systemctl reset-failed chasquid.service
# shellcheck disable=SC2086 # several names
systemctl -q enable chasquid.service $sockets
# shellcheck disable=SC2086 # several names
systemctl start $sockets
systemctl restart chasquid.service
timeout 20 bash -c 'exec 3<>/dev/tcp/127.0.0.1/25 && read -r line <&3 && printf "QUIT\r\n" >&3 && printf "%s\n" "$line"'
