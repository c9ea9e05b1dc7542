package spawner

import (
	"crypto/sha256"
	"fmt"
	"go/parser"
	"go/token"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

var (
	goModule = lazy(`(?m)^module\s+"?([^\s"]+)`)
	// goName is what a program of Go may be called, as a file and in a shell.
	goName = lazy(`^[A-Za-z0-9][\w.-]*$`)
	// goMajor is the end of a module's path that is no name.
	goMajor = lazy(`^v\d+$`)
	goTags  = lazy(`(?m)^//(?:go:build| \+build) +ignore\b`)
)

// goBuilder is what builds a program of Go.
const goBuilder = "go"

// detectGo is the rule for a module of Go with one program, which was built or is built at each start. A Procfile says
// more.
func detectGo(d *directory) *Detection {
	module := goModule().FindStringSubmatch(d.read("go.mod"))
	if module == nil || detectProcfile(d) != nil {
		return nil
	}

	name := path.Base(module[1])
	if goMajor().MatchString(name) {
		name = path.Base(path.Dir(module[1]))
	}

	dir := "."
	if !d.isGoProgram(dir) {
		if dir = d.goCommand(name); dir == "" {
			return nil
		}

		name = path.Base(dir)
	}

	if !goName().MatchString(name) {
		return nil
	}

	found := &Detection{Framework: "Go", Because: "there are go.mod and a main package in " + dir}
	if binary := d.goBinary(dir, name); binary != "" {
		found.StartCommand = []string{"./" + binary}
		found.Because = "there are go.mod and the program " + binary + ", which has to listen on the port in PORT"

		return found
	}

	found.StartCommand = []string{"/bin/sh", "-c", goScript(d.name, dir, name)}
	found.Because += ", which is built at each start, and has to listen on the port in PORT"
	found.builder = goBuilder

	return found
}

// goScript returns the commands that build a program and become it. Processes that start at the same time replace the
// file, and write to none that another one executes. A copy of the last build spares the linker, the most of the work,
// where nothing has changed. Each release has its own, and those that were not started for a month are removed.
func goScript(root, dir, name string) string {
	if dir != "." {
		dir = "./" + dir
	}

	mark := sha256.Sum256([]byte(root))
	cache := fmt.Sprintf(`"${XDG_CACHE_HOME:-$HOME/.cache}/passenger/go-%x"`, mark[:8])

	return strings.NewReplacer("CACHE", cache, "NAME", name, "DIR", dir).Replace(
		`D=CACHE; P="$D/NAME"; N="$P.$$"; mkdir -p "$D"; cp "$P" "$N" 2>/dev/null; ` +
			`go build -o "$N" DIR && mv -f "$N" "$P"; S=$?; rm -f "$N"; ` +
			`find "${D%/*}" -maxdepth 1 -type d -name 'go-????????????????' -mtime +30 ` +
			`-exec rm -rf {} + 2>/dev/null; ` +
			`[ $S = 0 ] && exec "$P"`)
}

// goServers are the names of programs that serve, where there are several.
var goServers = []string{"server", "web", "api", "app"}

// goCommand returns the directory below cmd that has a program: the only one, or, of several, the one with the module's
// name, or with that of a server. Empty means that there is none, or which one is not clear.
func (d *directory) goCommand(module string) string {
	var found []string
	for _, name := range d.list("cmd") {
		dir := path.Join("cmd", name)
		if !goName().MatchString(name) || !d.isGoProgram(dir) {
			continue
		}

		found = append(found, dir)
	}

	if len(found) == 1 {
		return found[0]
	}

	for _, name := range append([]string{module}, goServers...) {
		if dir := path.Join("cmd", name); slices.Contains(found, dir) {
			return dir
		}
	}

	return ""
}

// isGoProgram reports whether a directory has a main package. Generators that go run executes are left out.
func (d *directory) isGoProgram(dir string) bool {
	for _, name := range d.list(dir) {
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			continue
		}

		source := d.read(path.Join(dir, name))
		if goTags().MatchString(source) {
			continue
		}

		f, err := parser.ParseFile(token.NewFileSet(), "", source, parser.PackageClauseOnly)
		if err == nil {
			return f.Name.Name == "main" // as all other files of a package
		}
	}

	return false
}

// goBinary returns the program if it was built, and is not older than go.mod; empty means that it is not there.
func (d *directory) goBinary(dir, name string) string {
	module, err := d.root.Stat("go.mod")
	if err != nil {
		return ""
	}

	for _, file := range []string{name, "bin/" + name, path.Join(dir, name)} {
		info, err := d.root.Stat(file)
		if err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o111 != 0 &&
			!info.ModTime().Before(module.ModTime()) {
			return file
		}
	}

	return ""
}

// goDirectory is where Go's own installation has its programs, which PATH need not name.
const goDirectory = "/usr/local/go/bin"

// findBuilder makes sure that the application's PATH has the program that builds it.
func (r *resolver) findBuilder(c *command, builder string) error {
	_, err := r.lookUp(builder, builderMissing)
	if err == nil {
		return nil
	}

	standard := filepath.Join(goDirectory, builder)
	if checkExecutable(standard) != nil || r.checkTrust(standard) != nil {
		return err
	}

	r.path += string(filepath.ListSeparator) + goDirectory
	c.setEnv("PATH", r.path)

	return nil
}
