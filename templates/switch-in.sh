set -eu
umask 027
domain={domain} file={file} seen={seen}
dir=/etc/chasquid/domains/$domain
mkdir -p "$dir"
now=
if [ -f "$dir/$file" ]; then now=$(sha256sum < "$dir/$file" | cut -d' ' -f1); fi
if [ "$now" != "$seen" ]; then
  echo "$dir/$file has changed since the plan was made" >&2; exit 75
fi
try=$(mktemp -d)
trap 'rm -rf "$try"' EXIT
mkdir -p "$try/domains/$domain" "$try/certs"
[ ! -f /etc/chasquid/chasquid.conf ] || cp /etc/chasquid/chasquid.conf "$try/"
for f in users aliases; do
  [ ! -f "$dir/$f" ] || cp "$dir/$f" "$try/domains/$domain/"
done
{content} > "$try/domains/$domain/$file"
{check}
cp "$try/domains/$domain/$file" "$dir/$file.mailctl-new"
chown root:chasquid "$dir/$file.mailctl-new"
chmod 640 "$dir/$file.mailctl-new"
sync "$dir/$file.mailctl-new"
mv "$dir/$file.mailctl-new" "$dir/$file"
