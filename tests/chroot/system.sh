# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
#
# For tests inside a fresh Debian system; sourced by bash scripts that run in the root of the tree, as root. The system is
# made once by debootstrap, has nothing but make, git and ca-certificates, and is kept as build/chroot/SUITE.tar; each
# user works on a copy of it in $work, which is gone when the script ends. CHROOT_SUITE names the Debian release. The
# network, /dev and the apt configuration are those of this system.
suite=${CHROOT_SUITE:-bookworm}
base=$PWD/build/chroot/$suite.tar

fail() {
    echo "${0##*/}: $*" >&2
    exit 1
}

system_remove() {
    for m in "$work/proc" "$work/dev/shm" "$work/dev/pts" "$work/dev" "$work"; do
        mountpoint -q "$m" && umount -l "$m"
    done
    rm -rf --one-file-system "$work"
}

system_make() { # FOLDER
    work=$1
    [ "$(id -u)" = 0 ] || fail "only root can make a chroot"
    trap system_remove EXIT
    system_remove
    mkdir -p "$work" build/chroot
    mount --bind "$work" "$work" # a root that is a mount point, as everywhere: programs may want a mount namespace
    mount --make-private "$work"

    # The package source of this system, and how it is reached: a proxy or a mirror stays in force inside.
    local mirror keys certs
    mirror=$(apt-get indextargets --format '$(SITE)|$(RELEASE)|$(COMPONENT)' 'Created-By: Packages' |
        sed -n "s,^\([^|]*\)|$suite|main\$,\1,p" | head -n 1)
    [ -n "$mirror" ] || fail "no source for $suite in this system's apt configuration"

    if [ ! -s "$base" ]; then
        command -v debootstrap >/dev/null || .ci/install chroot
        echo "making a minimal $suite system ..."
        timeout 1200 debootstrap --variant=minbase --include=ca-certificates,make,git "$suite" "$work" "$mirror" \
            >build/chroot/debootstrap.log 2>&1 || { tail -n 20 build/chroot/debootstrap.log >&2; fail "debootstrap failed"; }
        tar -C "$work" -cf "$base.new" . && mv "$base.new" "$base"
    else
        tar -C "$work" -xf "$base"
    fi
    rm -rf "$work/etc/apt/sources.list.d"
    cp -a /etc/apt/sources.list "$work/etc/apt/" 2>/dev/null || : >"$work/etc/apt/sources.list"
    cp -a /etc/apt/sources.list.d "$work/etc/apt/"
    cp -a /etc/apt/apt.conf.d/. "$work/etc/apt/apt.conf.d/"
    for keys in /etc/apt/trusted.gpg.d /etc/apt/keyrings /usr/share/keyrings; do
        [ ! -d $keys ] || { mkdir -p "$work$keys" && cp -a $keys/. "$work$keys/"; }
    done
    cp -L /etc/resolv.conf /etc/hosts "$work/etc/" 2>/dev/null || true
    for certs in /usr/local/share/ca-certificates /etc/ssl/certs; do
        [ ! -d $certs ] || { mkdir -p "$work$certs" && cp -aL $certs/. "$work$certs/" 2>/dev/null; } || true
    done

    mount --bind /dev "$work/dev"
    mount --make-private "$work/dev" # what is mounted below stays out of this system's /dev
    mount --bind /dev/pts "$work/dev/pts"
    mount -t tmpfs -o mode=1777 tmpfs "$work/dev/shm"
    mount -t proc proc "$work/proc"
}

inside() { # COMMAND...: in the new system, with nothing of this one's environment but $port, if it is set
    chroot "$work" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 ${port:+PORT="$port"} \
        ${http_proxy:+http_proxy="$http_proxy"} ${https_proxy:+https_proxy="$https_proxy"} "$@"
}
