set -eu
umask 027
host={host}
mkdir -p /etc/chasquid/tls /etc/chasquid/certs
chgrp chasquid /etc/chasquid/tls
new=$(mktemp -d "/etc/chasquid/tls/$host.XXXXXXXX")
trap '[ -z "$new" ] || rm -rf "$new"' EXIT
{chain} > "$new/fullchain.pem"
{key} > "$new/privkey.pem"
printf '%s\n' {directory} > "$new/authority"
of_chain=$(openssl x509 -in "$new/fullchain.pem" -noout -pubkey | openssl pkey -pubin -outform DER | base64 -w0)
of_key=$(openssl pkey -in "$new/privkey.pem" -pubout -outform DER | base64 -w0)
if [ -z "$of_key" ] || [ "$of_chain" != "$of_key" ]; then
  echo "the key does not belong to the certificate" >&2; exit 1
fi
chown -R root:chasquid "$new"
chmod 750 "$new"
chmod 640 "$new"/*
sync "$new"/*
# A directory that somebody made by hand is kept beside.
if [ -d "/etc/chasquid/certs/$host" ] && [ ! -L "/etc/chasquid/certs/$host" ]; then
  mv "/etc/chasquid/certs/$host" "/etc/chasquid/tls/$host.before-mailctl.$$"
fi
old=$(readlink "/etc/chasquid/certs/$host" || true)
{mark}
{reload}
ln -s "$new" "/etc/chasquid/certs/$host.new"
mv -T "/etc/chasquid/certs/$host.new" "/etc/chasquid/certs/$host"
for past in "/etc/chasquid/tls/$host".????????; do
  case $past in
    "$new"|"$old") ;;
    *) rm -rf "$past" ;;
  esac
done
new=
