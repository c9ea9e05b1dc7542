// Package loaders holds the applications' side of a spawn: the scripts that an
// interpreter runs, which speak the handshake of package loaderproto, load the
// application and serve its requests. They are embedded, so that a program
// that starts applications is one file; the spawner writes them to a directory
// and runs them from there.
//
// Go programs need no loader: see package goapp.
package loaders

import "embed"

// FS holds the scripts and, beside each, the files it loads. The tree has to
// be written out as it is.
//
//go:embed python/*.py python/passenger_loader/*.py
//go:embed ruby/*.rb ruby/passenger_loader/*.rb
//go:embed node/*.js node/passenger_loader/*.js
var FS embed.FS

// The scripts in FS to run with the interpreter of their language.
const (
	Python = "python/wsgi_loader.py"
	// PythonPreloader loads an application once and forks its processes.
	PythonPreloader = "python/wsgi_preloader.py"
	Ruby            = "ruby/rack_loader.rb"
	// RubyPreloader loads an application once and forks its processes.
	RubyPreloader = "ruby/rack_preloader.rb"
	Node          = "node/node_loader.js"
)
