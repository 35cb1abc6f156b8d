# Whether mail can leave the server: a connection to a mail server far away, and
# the address that the kernel takes for it. Nothing is said there but QUIT.
# A line each: address, exit status, source, words; all at once, as a closed port is silent.
LC_ALL=C
export LC_ALL
try() {
  source=$(ip -o route get "$1" 2>/dev/null | sed -n 's/.* src \([^ ]*\).*/\1/p')
  said=$(timeout "$3" bash -c '
    exec 3<>"/dev/tcp/$0/$1" || exit 1
    IFS= read -r -t "$2" line <&3
    printf "QUIT\r\n" >&3
    printf %s "$line"' "$1" "$2" "$3" 2>&1)
  code=$?
  printf '%s %s %s %s\n' "$1" "$code" "${source:--}" "$(printf %s "$said" | tr '\r\n' '  ')"
}
families=$(systemctl show --property=RestrictAddressFamilies --value chasquid.service 2>/dev/null)
echo "families $families"
