package agent

import (
	"errors"
	"path/filepath"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/gopassenger/passenger/internal/dcache"
	"github.com/gopassenger/passenger/spawner"
)

// scripts returns those of the application of c if it is one of PHP, else nil.
func (c *Config) scripts() *spawner.Scripts {
	if c.Flying != nil || c.Dir == "" {
		return nil
	}

	return spawner.DetectScripts(&spawner.App{
		Root:         c.Dir,
		Type:         c.AppType,
		StartupFile:  c.StartupFile,
		StartCommand: c.StartCommand,
	})
}

// applyPHP sets what only applications of PHP have.
func (c *Config) applyPHP(app *spawner.App) {
	app.PHPServer, app.PHPIni, app.NoFrontController = c.PHPServer, c.PHPIni, !c.FrontController
}

// phpFiles says which files of an application of PHP are for the public: the directory of its scripts has them, too.
type phpFiles struct {
	startupFile string
	// fixed means that the directory of files is configured.
	fixed bool

	cached dcache.Cache

	mu sync.Mutex
	// roots are the scripts of releases.
	roots map[string]*spawner.Scripts
}

// maxPHPRoots bounds the releases whose scripts are known.
const maxPHPRoots = 16

// public returns the directory of files in a release, and which of the names are for the public.
func (p *phpFiles) public(root, rel string, names []string) (dir string, public []string) {
	var scripts spawner.Scripts
	if p.fixed {
		scripts = spawner.Scripts{Root: root, DocumentRoot: "."}
		if rel != "" {
			scripts.DocumentRoot = filepath.ToSlash(rel)
		}
	} else {
		scripts = *p.of(root)
		if rel = filepath.FromSlash(scripts.DocumentRoot); rel == "." {
			rel = ""
		}
	}

	directory := joined(root, rel)

	public = make([]string, 0, len(names))
	for _, name := range names {
		if !scripts.IsPublic(name) {
			continue
		}

		// Most paths are for scripts, and no file is there to be denied.
		if !p.isAbsent(joined(directory, name)) && !scripts.IsDenied(name) {
			public = append(public, name)
		}
	}

	return rel, public
}

// isAbsent reports whether nothing is at a path, as is known at little cost for most.
func (p *phpFiles) isAbsent(path string) bool {
	if p.cached.Look(path) == dcache.Absent {
		return true
	}

	var st unix.Stat_t
	err := unix.Stat(path, &st)

	return errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR)
}

// of returns the scripts of a release, which are looked for once.
func (p *phpFiles) of(root string) *spawner.Scripts {
	p.mu.Lock()
	defer p.mu.Unlock()

	if s := p.roots[root]; s != nil {
		return s
	}

	// A link may lead to another release later.
	real, err := filepath.EvalSymlinks(root)
	if err != nil {
		real = root
	}

	s := spawner.FindScripts(&spawner.App{Root: real, StartupFile: p.startupFile})
	if real != root || err != nil {
		return &s
	}

	// Releases come and go, and to look again costs a few system calls.
	if p.roots == nil || len(p.roots) >= maxPHPRoots {
		p.roots = map[string]*spawner.Scripts{}
	}

	p.roots[root] = &s

	return &s
}
