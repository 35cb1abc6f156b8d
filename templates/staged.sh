# staged DOMAIN FILE NEW: whether chasquid starts with NEW in the place of FILE.
# No tool of chasquid's checks all of its files, so it is started itself, in a
# copy and without a socket: it has read everything when it complains of that.
staged() (
  set -e
  try=$(mktemp -d)
  trap 'rm -rf "$try"' EXIT
  mkdir -p "$try/domains/$1" "$try/certs/check" "$try/data"
  if [ -f /etc/chasquid/chasquid.conf ]; then
    cp /etc/chasquid/chasquid.conf "$try/"
  else
    : > "$try/chasquid.conf"
  fi
  for f in users aliases; do
    [ ! -f "/etc/chasquid/domains/$1/$f" ] || cp "/etc/chasquid/domains/$1/$f" "$try/domains/$1/"
  done
  cp "$3" "$try/domains/$1/$2"
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN=check \
    -keyout "$try/certs/check/privkey.pem" -out "$try/certs/check/fullchain.pem" 2>/dev/null
  said=$(timeout 30 chasquid --config_dir="$try" \
    --config_overrides='data_dir: "'"$try/data"'" mail_log_path: "<stderr>"' 2>&1 || :)
  case $said in
    *"No address to listen on"*) ;;
    *) printf '%s\n' "$said" | grep -e '☠' || printf '%s\n' "$said" | tail -n 3; exit 1 ;;
  esac
)
