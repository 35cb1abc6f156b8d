# One run of apt for everything. Set before: names (what apt-get is given),
# source (a file below sources.list.d whose index is needed, or empty), least
# (the chasquid that will do, or empty), others (yes where more than chasquid is wanted).
export DEBIAN_FRONTEND=noninteractive LC_ALL=C NEEDRESTART_SUSPEND=1 APT_LISTCHANGES_FRONTEND=none
lists=/var/lib/apt/lists
wait=120

# Tells what apt said, in the words of whoever has to mend it.
told() {
  holder=$(sed -n 's/.*held by process \([0-9]* ([^)]*)\).*/\1/p' "$log" | tail -n 1)
  if [ -n "$holder" ]; then
    fail 1 "apt is locked: process $holder has held the lock for more than $wait seconds; wait for it to end, or see what it does with \`ps -fp ${holder%% *}\`"
  fi
  if grep -qi -e 'no space left on device' -e "don't have enough free space" "$log"; then
    fail 1 "$1: the disk of the server is full"
  fi
  if grep -q -e 'NO_PUBKEY' -e 'EXPKEYSIG' -e 'is not signed' -e 'BADSIG' "$log"; then
    fail 1 "$1: the archive's signature is not accepted: $(grep -e NO_PUBKEY -e EXPKEYSIG -e 'is not signed' -e BADSIG "$log" | head -n 2)"
  fi
  if grep -q -e 'Could not resolve' -e 'Temporary failure resolving' -e 'Could not connect' -e 'Connection failed' -e 'connection timed out' "$log"; then
    fail 1 "$1: the server does not reach its package mirror: $(grep -m 1 -e 'Could not' -e 'Temporary failure' -e 'onnection' "$log")"
  fi
  lines=$(grep -e '^E:' -e '^dpkg: error' "$log" | tail -n 5)
  if [ -z "$lines" ]; then lines=$(tail -n 5 "$log"); fi
  fail 1 "$1: $lines"
}

# apt waits for dpkg's lock by itself, but not for that of its lists.
update() {
  tries=0
  until apt-get update -q -o DPkg::Lock::Timeout=$wait "$@" >"$log" 2>&1; do
    grep -q 'Could not get lock' "$log" && [ $tries -lt $wait ] || return 1
    tries=$((tries + 2)); sleep 2
  done
}
update_ours() {
  update -o APT::Update::Error-Mode=any -o Dir::Etc::sourcelist="sources.list.d/$source" -o Dir::Etc::sourceparts=- -o APT::Get::List-Cleanup=0
}
install() {
  # shellcheck disable=SC2086 # several names
  apt-get install -q -y --no-install-recommends -o DPkg::Lock::Timeout=$wait -o APT::Keep-Downloaded-Packages=false \
    -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold -o Dpkg::Use-Pty=0 -- $names >"$log" 2>&1
}

# A run that was cut off earlier comes first.
if [ -n "$(ls -A /var/lib/dpkg/updates 2>/dev/null)" ] || [ -n "$(dpkg --audit 2>/dev/null)" ]; then
  tries=0
  until dpkg --force-confdef --force-confold --configure -a >"$log" 2>&1; do
    grep -q 'lock' "$log" && [ $tries -lt $wait ] || told 'an installation that was cut off earlier cannot be finished'
    tries=$((tries + 2)); sleep 2
  done
fi

# The new services start once they are configured, not before.
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ] || grep -q 'Written by mailctl' $policy 2>/dev/null; then
  trap 'rm -f $policy "$log"' EXIT
  trap 'exit 1' HUP INT TERM
  printf '%s\n' '#!/bin/sh' '# Written by mailctl for one run of apt.' 'case $* in *chasquid*|*fail2ban*) exit 101 ;; esac' 'exit 0' >$policy &&
    chmod 755 $policy || fail 1 "$policy cannot be written"
fi

fresh=$(find $lists $lists/partial /var/lib/apt/periodic/update-success-stamp -maxdepth 0 -mmin -1440 2>/dev/null | head -n 1)
ls $lists/*_Packages* >/dev/null 2>&1 || fresh=
full=no
if [ "$others" = yes ] && [ -z "$fresh" ]; then
  update || told 'apt cannot update its lists'
  full=yes
elif [ -n "$source" ]; then
  update_ours || told 'apt cannot read the source of chasquid'
fi
if [ -n "$deb" ]; then
  folder=/var/cache/mailctl
  mkdir -p $folder && chmod 755 $folder
  file=$folder/chasquid.deb
  rm -f $file
  /usr/lib/apt/apt-helper download-file "$deb" $file "SHA256:$sha256" >"$log" 2>&1 || { rm -f $file; told "$deb cannot be fetched, or is not the file with that sha256"; }
  names="$names $file"
fi
if [ -n "$least" ] && [ -z "$source$deb" ]; then
  candidate=$(apt-cache policy chasquid | sed -n 's/^ *Candidate: //p')
  dpkg --compare-versions "$candidate" ge "$least" ||
    fail 1 "the distribution has chasquid $candidate, but $least or newer is needed; say \`source: debian-testing\` under \`server\`"
fi
if ! install; then
  # Stale or missing lists show only now.
  grep -q -e 'Could not get lock' -e "enough free space" -e 'No space left' "$log" && told 'apt cannot install the packages'
  [ $full = no ] || told 'apt cannot install the packages'
  update || told 'apt cannot update its lists'
  install || told 'apt cannot install the packages'
fi
rm -rf /var/cache/mailctl/chasquid.deb

if [ -n "$least" ]; then
  version=$(dpkg-query -W -f='${Version}' chasquid 2>/dev/null)
  dpkg --compare-versions "$version" ge "$least" ||
    fail 1 "apt installed chasquid ${version:-not at all}, but $least or newer is needed; \`apt-cache policy chasquid\` on the server shows what it may choose from"
  # The package makes its user with a program that it does not depend on.
  if ! getent passwd chasquid >/dev/null; then
    adduser --quiet --system --home /var/lib/chasquid --no-create-home --group --gecos 'chasquid mail daemon' chasquid >"$log" 2>&1 ||
      oops 'the user chasquid cannot be made' "$log"
  fi
  chown chasquid:chasquid /var/lib/chasquid
fi
