#!/bin/sh
# Installs what the tests of the loaders and examples need and the machine does
# not have: interpreters, frameworks, shells, a browser, nginx, Apache, strace, setsid,
# groff, Passenger, whose tools are compared with ours, kubectl, and the npm packages of
# the examples.
# Does nothing, quickly, where all of it is there.
set -eu

cd "$(dirname "$0")/.."

fail() {
	echo "install-test-deps: $*" >&2
	exit 1
}

have() {
	command -v "$1" >/dev/null 2>&1
}

# The Python that the tests choose: the first of these that has the module.
python_has() {
	for python in "${PASSENGER_TEST_PYTHON:-}" python3 /usr/bin/python3; do
		[ -n "$python" ] && have "$python" && "$python" -c "import $1" >/dev/null 2>&1 && return 0
	done
	return 1
}

ruby_has() {
	have ruby && ruby -e "require '$1'" >/dev/null 2>&1
}

packages=
need() {
	packages="$packages $1"
}

# The race detector needs a C compiler.
have cc || have gcc || { need gcc; need libc6-dev; }
have python3 || need python3
python_has flask || need python3-flask
python_has django || need python3-django
have ruby || need ruby
ruby_has rack || need ruby-rack
ruby_has sinatra/base || need ruby-sinatra
have node || need nodejs
have npm || need npm
have chromium || need chromium
have perl || need perl
have php || need php-cli
have nginx || [ -x /usr/sbin/nginx ] || need nginx-light
if [ "$(uname)" = Linux ]; then
	have strace || need strace
	have setsid || need util-linux
	have groff || need groff-base
	have passenger-config || need passenger
	have kubectl || need kubernetes-client
fi
have apache2 || have httpd || [ -x /usr/sbin/apache2 ] || need apache2-bin
for shell in bash zsh ksh; do
	have $shell || need $shell
done

if [ -n "$packages" ]; then
	have apt-get || fail "missing:$packages. There is no apt-get here: install them by this system's own means and run this again."
	if [ "$(id -u)" -eq 0 ]; then
		as_root=
	elif have sudo && sudo -n true 2>/dev/null; then
		as_root="sudo -n"
	else
		fail "missing:$packages. Run this as root, or install them: apt-get install$packages"
	fi
	# Debian makes services of servers that it installs, unless it is told not to.
	policy=/usr/sbin/policy-rc.d
	if [ ! -e $policy ]; then
		trap '$as_root rm -f $policy' EXIT
		printf '#!/bin/sh\nexit 101\n' | $as_root tee $policy >/dev/null
		$as_root chmod 755 $policy
	fi
	# shellcheck disable=SC2086 # both are lists of words
	{
		$as_root apt-get update -q || fail "apt-get update failed: look at its messages above."
		$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $packages ||
			fail "cannot install$packages: look at apt-get's messages above."
	}
fi

# npm leaves a copy of the lock file beside what it has installed, older than
# the original only if that was changed since.
for app in express websocket; do
	directory=examples/apps/$app
	installed=$directory/node_modules/.package-lock.json
	if [ -e "$installed" ] && [ -z "$(find "$directory/package-lock.json" -newer "$installed")" ]; then
		continue
	fi
	(cd "$directory" && npm ci --no-audit --no-fund) ||
		fail "cannot install the packages of $directory: look at npm's messages above."
done
