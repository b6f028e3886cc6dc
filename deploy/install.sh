#!/bin/sh
# Makes a machine in Azure keep a Lustre file system and a container in step: the Lustre client, the mount, lfsazsync, its
# configuration and its services. Can be run again: what is there already is left or brought up to date.
#
#   sudo LFSAZSYNC_INSTALL=$(base64 -w0 settings) sh install.sh     settings: lines of NAME=VALUE, see below
#   sh install.sh --dry-run --root DIR                              prints commands, writes files below DIR only
#
# Nothing that it prints holds a secret. Its output is in /var/log/lfsazsync-install.log, too.
set -eu

dry='' root=''
while [ $# -gt 0 ]; do
  case $1 in
    --dry-run) dry=1; shift ;;
    --root) root=$2; shift 2 ;;
    *) echo "error: install: no such option: $1" >&2; exit 2 ;;
  esac
done

say() { echo "install: $*"; }
fail() { echo "error: install: $*" >&2; exit 1; }
# Commands that change the machine; a dry run prints them.
do_() { if [ -n "$dry" ]; then echo "would run: $*"; else "$@"; fi; }

# NAME=VALUE of the settings; a value may hold anything but a line break.
settings=$(printf %s "${LFSAZSYNC_INSTALL:-}" | base64 -d) || fail 'LFSAZSYNC_INSTALL is not base64'
[ -n "$settings" ] || fail 'LFSAZSYNC_INSTALL is not set: see the first lines of this script'
setting() { # NAME [DEFAULT]
  value=$(printf '%s\n' "$settings" | sed -n "s/^$1=//p" | head -n 1)
  printf %s "${value:-${2:-}}"
}
needed() { # NAME
  value=$(setting "$1")
  [ -n "$value" ] || fail "the setting $1 is missing"
  printf %s "$value"
}

role=$(setting ROLE all)
case $role in all | copytool) ;; *) fail "ROLE must be all or copytool, not '$role'" ;; esac
mgs=$(needed LUSTRE_MGS)
fsname=$(setting LUSTRE_FSNAME lustrefs)
mount_point=$(setting MOUNT_POINT /mnt/lustre)
endpoint=$(needed ENDPOINT)
container=$(needed CONTAINER)
prefix=$(setting PREFIX)
credential=$(setting CREDENTIAL managed_identity)
identity=$(setting IDENTITY_CLIENT_ID)
changelog_user=$(setting CHANGELOG_USER)
ssh_port=$(setting SSH_PORT 22)
release_url=$(needed RELEASE_URL)
release_sha256=$(needed RELEASE_SHA256)
# Templates write True.
import=$(setting IMPORT true | tr '[:upper:]' '[:lower:]')
case $mount_point in /*) ;; *) fail "MOUNT_POINT must be an absolute path, not '$mount_point'" ;; esac
case $credential in
  managed_identity) ;;
  sas) [ -n "$(setting SAS)" ] || fail 'CREDENTIAL is sas, and SAS is empty' ;;
  *) fail "CREDENTIAL must be managed_identity or sas, not '$credential'" ;;
esac
case $import in true | false) ;; *) fail "IMPORT must be true or false, not '$import'" ;; esac
case $ssh_port in '' | *[!0-9]*) fail "SSH_PORT must be a number, not '$ssh_port'" ;; esac

if [ -z "$dry" ]; then
  [ "$(id -u)" -eq 0 ] || fail 'run it as root'
  umask 077
  log=/var/log/lfsazsync-install.log
  touch "$log"
  # Everything that follows goes to the log as well, and the exit code stays that of the work.
  if [ -z "${LFSAZSYNC_INSTALL_LOGGED:-}" ]; then
    export LFSAZSYNC_INSTALL_LOGGED=1 LFSAZSYNC_INSTALL
    status=$(mktemp)
    { sh "$0" && echo 0 >"$status" || echo $? >"$status"; } 2>&1 | tee -a "$log"
    code=$(cat "$status")
    rm -f "$status"
    exit "$code"
  fi
fi
umask 022

# --- The Lustre client, from Microsoft's packages for Azure Managed Lustre -----------------------------------------------

distribution() { # ID VERSION_ID VERSION_CODENAME of /etc/os-release
  # shellcheck disable=SC1090,SC1091
  (. "${LFSAZSYNC_OS_RELEASE:-/etc/os-release}" && printf '%s %s %s' "$ID" "$VERSION_ID" "${VERSION_CODENAME:-}")
}

lustre_client() {
  if command -v lfs >/dev/null 2>&1 && command -v mount.lustre >/dev/null 2>&1; then
    say 'the Lustre client is installed'
    return 0
  fi
  # shellcheck disable=SC2046
  set -- $(distribution)
  kernel=$(uname -r)
  say "installing the Lustre client for $1 $2, kernel $kernel"
  case $1 in
    ubuntu)
      key=/etc/apt/keyrings/microsoft.asc
      do_ mkdir -p /etc/apt/keyrings
      do_ curl -fsSL --retry 5 -o "$key" https://packages.microsoft.com/keys/microsoft.asc
      architecture=$(dpkg --print-architecture)
      write_file /etc/apt/sources.list.d/amlfs.list 644 \
        "deb [arch=$architecture signed-by=$key] https://packages.microsoft.com/repos/amlfs-$3/ $3 main"
      do_ apt-get update -q
      # The package of the newest client that there is for this kernel: amlfs-lustre-client-VERSION=KERNEL.
      client=$(if [ -n "$dry" ]; then echo amlfs-lustre-client-VERSION; else newest_deb "$kernel"; fi)
      [ -n "$client" ] || fail "Microsoft has no Lustre client for kernel $kernel: install one of the kernels that \`apt-cache search amlfs-lustre-client\` shows, reboot, and run this again"
      do_ env DEBIAN_FRONTEND=noninteractive apt-get install -y -q "$client=$kernel"
      # An upgrade to a kernel without modules for it would leave the machine without its file system.
      do_ apt-mark hold linux-azure linux-image-azure linux-headers-azure
      ;;
    almalinux | rhel | rocky)
      do_ rpm --import https://packages.microsoft.com/keys/microsoft.asc
      write_file /etc/yum.repos.d/amlfs.repo 644 "[amlfs]
name=Azure Managed Lustre
baseurl=https://packages.microsoft.com/yumrepos/amlfs-el${2%%.*}
enabled=1
gpgcheck=1
gpgkey=https://packages.microsoft.com/keys/microsoft.asc"
      client=$(if [ -n "$dry" ]; then echo amlfs-lustre-client-VERSION; else newest_rpm "$kernel"; fi)
      [ -n "$client" ] || fail "Microsoft has no Lustre client for kernel $kernel: see \`dnf list --showduplicates 'amlfs-lustre-client-*'\`"
      do_ dnf install -y "$client"
      ;;
    *) fail "no Lustre client is known for '$1': install one by hand, then run this again" ;;
  esac
}

newest_deb() { # KERNEL
  apt-cache search --names-only '^amlfs-lustre-client-[0-9]' | cut -d' ' -f1 | xargs -r apt-cache madison |
    awk -F'|' -v kernel="$1" '{ gsub(/ /, "", $1); gsub(/ /, "", $2); if ($2 == kernel) print $1 }' | sort -V | tail -n 1
}

# amlfs-lustre-client-CLIENT-KERNEL-1, in which the kernel's version is without its architecture, and has dots only.
newest_rpm() { # KERNEL
  dnf -q repoquery --qf '%{name}-%{version}-%{release}\n' 'amlfs-lustre-client-*' 2>/dev/null |
    grep -F -- "-$(echo "${1%.*}" | tr '_-' '..')-" | sort -V | tail -n 1
}

# Writes a whole file, below --root; a dry run without --root only says so.
write_file() { # PATH MODE CONTENT
  if [ -n "$dry" ] && [ -z "$root" ]; then
    echo "would write: $1"
    return 0
  fi
  mkdir -p "$root$(dirname "$1")"
  (umask 077 && printf '%s\n' "$3" >"$root$1.new")
  chmod "$2" "$root$1.new"
  mv "$root$1.new" "$root$1"
  say "wrote $1"
}

# --- The mount ---------------------------------------------------------------------------------------------------------------

lustre_mount() {
  line="$mgs@tcp:/$fsname $mount_point lustre noatime,flock,user_xattr,_netdev,x-systemd.requires=network-online.target 0 0"
  table=$root/etc/fstab
  if [ -n "$dry" ] && [ -z "$root" ]; then
    echo "would add to /etc/fstab: $line"
  else
    mkdir -p "$root/etc"
    touch "$table"
    # One line for the mount point, whatever it was.
    awk -v at="$mount_point" '$2 != at' "$table" >"$table.new"
    printf '%s\n' "$line" >>"$table.new"
    cat "$table.new" >"$table"
    rm -f "$table.new"
    say "wrote /etc/fstab"
  fi
  do_ mkdir -p "$mount_point"
  do_ systemctl daemon-reload
  if mountpoint -q "$mount_point"; then
    say "$mount_point is mounted"
    return 0
  fi
  # The servers of a new file system may need a while.
  tries=0
  until do_ mount "$mount_point"; do
    tries=$((tries + 1))
    [ "$tries" -lt 30 ] || fail "$mount_point can not be mounted: is $mgs the MGS, and do its ports (988, 1019-1023) reach this machine?"
    sleep 20
  done
}

# --- lfsazsync ------------------------------------------------------------------------------------------------------------------

package() {
  file=/var/cache/lfsazsync/$(basename "${release_url%%\?*}")
  do_ mkdir -p /var/cache/lfsazsync
  # A release may be behind a signed URL: it is not printed.
  if [ -n "$dry" ]; then
    echo "would fetch: $(basename "$file")"
  else
    curl -fsSL --retry 5 -o "$file" "$release_url" || fail "the release can not be fetched"
    printf '%s  %s\n' "$release_sha256" "$file" | sha256sum --check --quiet || fail "$file is not the release that was asked for: its SHA-256 is another"
  fi
  case $file in
    *.deb) do_ env DEBIAN_FRONTEND=noninteractive apt-get install -y -q "$file" ;;
    *.tar.xz)
      do_ mkdir -p /opt
      do_ tar -xJf "$file" -C /opt --no-same-owner
      folder=/opt/$(basename "$file" .tar.xz)
      do_ ln -sfn "$folder" /opt/lfsazsync
      do_ ln -sfn /opt/lfsazsync/bin/lfsazsync /usr/bin/lfsazsync
      ;;
    *) fail "a release is a .deb or a .tar.xz, not $(basename "$file")" ;;
  esac
}

# A YAML string, whatever is in it.
quoted() { printf "'%s'" "$(printf %s "$1" | sed "s/'/''/g")"; }

configuration() {
  if [ "$credential" = sas ]; then
    write_file /etc/lfsazsync/sas 600 "$(setting SAS)"
    signing="      type: sas
      file: /etc/lfsazsync/sas"
  else
    signing="      type: managed_identity"
    [ -z "$identity" ] || signing="$signing
      client_id: $(quoted "$identity")"
  fi
  content="# Written by deploy/install.sh. \`lfsazsync config show\` prints every setting in force; docs/configuration.md describes them.
mount: $(quoted "$mount_point")
archives:
  1:
    endpoint: $(quoted "$endpoint")
    container: $(quoted "$container")"
  [ -z "$prefix" ] || content="$content
    prefix: $(quoted "$prefix")"
  content="$content
    credential:
$signing"
  [ -z "$changelog_user" ] || content="$content
follow:
  changelog_user: $(quoted "$changelog_user")"
  if [ -f "$root/etc/lfsazsync/config.yaml" ] && ! grep -q '^# Written by deploy/install.sh' "$root/etc/lfsazsync/config.yaml"; then
    say '/etc/lfsazsync/config.yaml is another: it stays as it is'
    return 0
  fi
  write_file /etc/lfsazsync/config.yaml 644 "$content"
}

# The role that the templates give the machine is in force only after some minutes, ten at most as Azure says: until then
# setup ends with 7 (not authorised).
claim() {
  tries=0
  until do_ lfsazsync setup; do
    code=$?
    tries=$((tries + 1))
    case $code in 5 | 7) ;; *) fail "lfsazsync setup ended with $code" ;; esac
    [ "$tries" -lt 60 ] || fail 'lfsazsync setup is still refused: does the identity, or the SAS, have what it needs on the container?'
    say 'trying again in 20 seconds: a role needs up to ten minutes to be in force'
    sleep 20
  done
}

services() {
  do_ lfsazsync config validate
  claim
  if [ "$role" = copytool ]; then
    do_ systemctl enable --now lfsazsync-copytool.service
    return 0
  fi
  if [ "$import" = true ] && [ -z "$(ls -A "$mount_point" 2>/dev/null)" ]; then
    say 'the file system is empty: importing the names of the container'
    do_ lfsazsync import
  fi
  do_ systemctl enable --now lfsazsync-copytool.service
  if [ -z "$changelog_user" ]; then
    say "no changelog user is configured, the follower is not started: 'lfsazsync doctor' prints what to ask the administrators of the file system for"
  else
    do_ systemctl enable --now lfsazsync-follow.service
  fi
  do_ systemctl enable --now lfsazsync-policy.timer
}

secure_shell() {
  [ "$ssh_port" != 22 ] || return 0
  write_file /etc/ssh/sshd_config.d/10-lfsazsync.conf 600 "Port $ssh_port"
  if command -v semanage >/dev/null 2>&1; then
    do_ sh -c "semanage port -a -t ssh_port_t -p tcp $ssh_port || semanage port -m -t ssh_port_t -p tcp $ssh_port"
  fi
  # Ubuntu from 22.10 on takes the port from the socket unit, which is made from sshd's configuration.
  do_ systemctl daemon-reload
  do_ sh -c 'if systemctl is-active --quiet ssh.socket; then systemctl restart ssh.socket; else systemctl restart sshd.service 2>/dev/null || systemctl restart ssh.service; fi'
}

secure_shell
lustre_client
lustre_mount
package
configuration
services
say 'done'
