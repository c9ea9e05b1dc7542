#!/bin/sh
# Installs what the tests of the loaders and examples need and the machine does
# not have: interpreters, frameworks, shells, a browser, nginx, Apache, strace, setsid,
# groff, Passenger, whose tools are compared with ours, kubectl, the npm packages of
# the examples, and those of the real applications that are quick to install.
# Does nothing, quickly, where all of it is there.
set -eu

cd "$(dirname "$0")/.."

have() {
	command -v "$1" >/dev/null 2>&1
}

# The Python that the tests choose: the first of these that has the modules.
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
python_has "flask, asgiref" || need python3-flask
python_has django || need python3-django
python_has uvicorn || need python3-uvicorn
python_has hypercorn || need python3-hypercorn
python_has uvloop || need python3-uvloop
python_has httptools || need python3-httptools
python_has websockets || need python3-websockets
python_has quart || need python3-quart
python_has channels || need python3-django-channels
python_has fastapi || need python3-fastapi
python_has multipart || need python3-multipart # uploads of FastAPI
have ruby || need ruby
ruby_has rack || need ruby-rack
ruby_has sinatra/base || need ruby-sinatra
have node || need nodejs
have npm || need npm
have chromium || need chromium
have perl || need perl
have php || need php-cli
have php-cgi || need php-cgi
have php-fpm || ls /usr/sbin/php-fpm* >/dev/null 2>&1 || need php-fpm
have nginx || [ -x /usr/sbin/nginx ] || need nginx-light
have haproxy || [ -x /usr/sbin/haproxy ] || need haproxy
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
	# shellcheck disable=SC2086 # a list of words
	./scripts/install-packages install-test-deps $packages
fi

for app in express websocket; do
	./scripts/install-npm-packages install-test-deps examples/apps/$app
done
./scripts/install-realapps
