# How the trial stands: prints `applying`, `unready …` or `ready`.
if [ ! -e /run/netplan/60-mailctl.yaml ]; then fail 1 'the server has put the old network back already'; fi
read -r status 2>/dev/null </run/mailctl/network-applied || { echo applying; exit 0; }
if [ "$status" != 0 ]; then
  cp /run/mailctl/network-log "$log"
  oops 'netplan apply failed' "$log"
fi
if [ -n "$address" ]; then
  found=$(ip -6 -o addr show dev "$interface" to "$address")
  case $found in
    '') echo "unready $interface does not have $address"; exit 0 ;;
    *dadfailed*) fail 1 "$address is in use by another host of that network" ;;
    *tentative*) echo "unready $address is being checked for duplicates"; exit 0 ;;
  esac
  if [ -n "$gateway" ]; then
    case $(ip -6 route get 2000:: 2>/dev/null) in
      *" via $gateway "*" src ${address%/*} "*|*" via $gateway "*" src ${address%/*}") ;;
      *) echo "unready mail would not leave from ${address%/*} via $gateway"; exit 0 ;;
    esac
  fi
fi
echo ready
