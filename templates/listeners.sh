# Who listens on TCP, as `ss` tells it; without ss, in its words from /proc.
if command -v ss >/dev/null 2>&1; then ss -Hltnp; exit; fi
cat /proc/net/tcp /proc/net/tcp6 2>/dev/null | while read -r _ local _ state _ _ _ _ _ inode _; do
  [ "$state" = 0A ] || continue
  port=$((0x${local##*:}))
  case $port in 25|465|587) ;; *) continue ;; esac
  fd=$(find /proc/[0-9]*/fd -lname "socket:\[$inode\]" 2>/dev/null | head -n 1)
  pid=${fd#/proc/}; pid=${pid%%/*}; users=
  if [ -n "$pid" ] && read -r name <"/proc/$pid/comm"; then users="users:((\"$name\",pid=$pid,fd=${fd##*/}))"; fi
  echo "LISTEN 0 0 *:$port *:* $users"
done
