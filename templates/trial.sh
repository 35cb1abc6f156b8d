# Addresses for test messages. Each is an alias that pipes its message into a
# file: an alias wins over users and over the catch-all, and no account is
# touched. Their local parts begin with mailctl-test-TOKEN-.

# reread: has chasquid read its aliases now, which it does every 30 s anyway.
reread() {
  pid=$(systemctl show --property MainPID --value chasquid.service 2>/dev/null) || pid=0
  [ "${pid:-0}" -gt 0 ] && kill -HUP "$pid"
}

# forget TOKEN: takes the addresses and their messages away. What stays of a
# file is, byte for byte, what others wrote into it.
forget() {
  forgot=
  for f in /etc/chasquid/domains/*/aliases; do
    grep -q "^mailctl-test-$1-" "$f" 2>/dev/null || continue
    new=${f%/*}/.aliases.mailctl-test
    sed "/^#\{0,1\}mailctl-test-$1-/d" "$f" >"$new" && chown --reference="$f" "$new" \
      && chmod --reference="$f" "$new" || return 1
    if [ ! -s "$new" ] && grep -q '^#mailctl-test-' "$f"; then rm -f "$f" "$new"; else mv -f "$new" "$f"; fi || return 1
    forgot=1
  done
  rm -f /etc/chasquid/domains/*/.aliases.mailctl-test
  if [ -n "$forgot" ]; then
    reread || :
    # What is being handed over may still need the directory.
    i=0
    while [ $i -lt 50 ] && grep -qs "mailctl-test\.$1/keep" /var/lib/chasquid/queue/*; do i=$((i + 1)); sleep 0.1; done
  fi
  rm -rf /var/lib/chasquid/mailctl-test.$1
}

# prepare TOKEN: makes the directory of the messages. Also takes away what a
# server kept that lost its power in the middle of a test.
prepare() {
  forget '[0-9a-f]*'
  dir=/var/lib/chasquid/mailctl-test.$1
  mkdir "$dir" || return 1
  cat >"$dir/keep" <<'END'
cd "${0%/*}" && cat >"$1.part" && mv "$1.part" "$1"
END
  chmod 644 "$dir/keep" && chown chasquid: "$dir" && chmod 700 "$dir"
}

# add TOKEN DOMAIN: puts the aliases on standard input before those that are
# there, where it does not matter whether the last line is ended.
add() {
  f=/etc/chasquid/domains/$2/aliases new=${f%/*}/.aliases.mailctl-test
  [ -d "${f%/*}" ] || fail 1 "chasquid does not know the domain $2"
  cat >"$new" || fail 1 "$new cannot be written"
  if [ -e "$f" ]; then
    cat "$f" >>"$new" && chown --reference="$f" "$new" && chmod --reference="$f" "$new"
  else
    echo "#mailctl-test-$1- is all there is" >>"$new" && chown root:chasquid "$new" && chmod 640 "$new"
  fi || fail 1 "$new cannot be written"
  staged "$2" aliases "$new" >"$log" 2>&1 || oops "chasquid does not take the aliases of $2" "$log"
  [ -d "/var/lib/chasquid/mailctl-test.$1" ] && mv -f "$new" "$f"
}

# effective ADDRESS: waits until the running chasquid knows it.
effective() {
  reread || fail 1 'chasquid does not run'
  i=0
  until chasquid-util aliases-resolve "$1" 2>"$log" | grep -q '/keep '; do
    i=$((i + 1))
    [ $i -lt 350 ] || oops "chasquid does not take up the address $1" "$log"
    sleep 0.1
  done
}

# collect TOKEN TENTHS NUMBER...: waits for these messages, and prints those
# that came, a line each: its number, and itself in base64.
collect() {
  cd "/var/lib/chasquid/mailctl-test.$1" || return 1
  left=$2
  shift 2
  while [ "$left" -gt 0 ]; do
    missing=
    for n; do [ -e "$n" ] || missing=$n; done
    [ -n "$missing" ] || break
    left=$((left - 1))
    sleep 0.1
  done
  for n; do [ ! -e "$n" ] || { printf '%s ' "$n"; base64 -w 0 <"$n"; echo; }; done
}
