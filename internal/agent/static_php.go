package agent

import (
	"path/filepath"
	"slices"
	"sync"

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

// phpFiles says which files of an application of PHP are for the public: the directory of its scripts has them, too.
type phpFiles struct {
	startupFile string
	// fixed means that the directory of files is configured.
	fixed bool

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

	isHidden := func(name string) bool { return !scripts.IsPublic(name) }
	if slices.ContainsFunc(names, isHidden) {
		names = slices.DeleteFunc(slices.Clone(names), isHidden)
	}

	return rel, names
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

	if p.roots == nil || len(p.roots) >= maxPHPRoots {
		p.roots = map[string]*spawner.Scripts{}
	}

	p.roots[root] = &s

	return &s
}
