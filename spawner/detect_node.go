package spawner

import (
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// packageJSON is what counts of a package.json.
type packageJSON struct {
	Main            string            `json:"main"`
	Scripts         map[string]string `json:"scripts"`
	Dependencies    map[string]string `json:"dependencies"`
	DevDependencies map[string]string `json:"devDependencies"`
	// Engines is of several forms.
	Engines json.RawMessage `json:"engines"`
}

// packageName is the file of npm.
const packageName = "package.json"

// readPackage returns nil without a package.json that can be understood. Why it cannot is one of the problems.
func (d *directory) readPackage() *packageJSON {
	p := &packageJSON{}
	if !d.readJSON(packageName, p) {
		return nil
	}

	return p
}

// readJSON reports whether a file was read. One that is there, and cannot be understood, is one of the problems.
func (d *directory) readJSON(name string, to any) bool {
	info, err := d.root.Stat(name)
	if err != nil {
		return false
	}

	// RFC 8259, 8.1: a reader may ignore a byte order mark, which encoding/json does not.
	text := strings.TrimPrefix(d.read(name), "\ufeff")
	switch {
	case !info.Mode().IsRegular():
		d.problem(name + " is not a regular file")
		return false
	case info.Size() > maxDetectedFile:
		d.problem(fmt.Sprintf("%s has more than %d bytes, and was not read", name, maxDetectedFile))
		return false
	case strings.TrimSpace(text) == "":
		d.problem(name + " is empty, or cannot be read")
		return false
	}

	// Deno takes comments and trailing commas in deno.json as well.
	if path.Ext(name) == ".jsonc" || strings.HasPrefix(name, "deno.") {
		text = withoutJSONComments(text)
	}

	err = json.Unmarshal([]byte(text), to)

	// What is of another type than npm wants, as dependencies that PHP has written, does not spoil the rest.
	if e, ok := errors.AsType[*json.UnmarshalTypeError](err); ok && e.Field != "" {
		return true
	}

	if e, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		d.problem(name + " has a JSON " + e.Value + " where an object has to be")
	} else if e, ok := errors.AsType[*json.SyntaxError](err); ok {
		line := 1 + strings.Count(text[:min(int(e.Offset), len(text))], "\n")
		d.problem(fmt.Sprintf("%s is not JSON (line %d: %v)", name, line, err))
	}

	return err == nil
}

// withoutJSONComments replaces comments, and commas before a closing bracket, by white space.
func withoutJSONComments(text string) string {
	out := []byte(text)
	comma := -1
	blank := func(from, to int) {
		for i := from; i < to; i++ {
			if out[i] != '\n' {
				out[i] = ' '
			}
		}
	}

	for i := 0; i < len(out); i++ {
		switch rest := text[i:]; {
		case rest[0] == '"':
			i += stringLength(rest) - 1
			comma = -1
		case strings.HasPrefix(rest, "//"):
			end := strings.IndexByte(rest+"\n", '\n')
			blank(i, i+end)
			i += end - 1
		case strings.HasPrefix(rest, "/*"):
			end := len(rest)
			if at := strings.Index(rest[len("/*"):], "*/"); at >= 0 {
				end = at + len("/**/")
			}

			blank(i, i+end)
			i += end - 1
		case rest[0] == ',':
			comma = i
		case comma >= 0 && (rest[0] == '}' || rest[0] == ']'):
			out[comma] = ' '
			comma = -1
		case !strings.ContainsRune(" \t\r\n", rune(rest[0])):
			comma = -1
		}
	}

	return string(out)
}

func (p *packageJSON) uses(name string) bool {
	if p == nil {
		return false
	}

	_, used := p.Dependencies[name]
	_, dev := p.DevDependencies[name]

	return used || dev
}

// nextProgram is in the directory of each application of Next.js, but for the standalone builds.
const nextProgram = "node_modules/.bin/next"

// nodeBuilds are frameworks that are started by what their build has made.
var nodeBuilds = []struct {
	framework string
	// dependency is empty where the output says enough. Where there is instead, the build is another one.
	dependency, output, instead string
	// file is the startup file, or else command starts it.
	file    string
	command []string
}{
	{
		framework:  "Next.js, standalone",
		dependency: "next",
		output:     ".next/BUILD_ID",
		instead:    nextProgram,
		file:       "server.js",
	},
	{
		framework:  "Next.js",
		dependency: "next",
		output:     ".next/BUILD_ID",
		// By another name than localhost, such as 127.0.0.1, it takes the addresses that middleware redirects to or
		// rewrites for those of another server: clients are sent to the port of the process, and with HTTPS it proxies
		// to itself by TLS.
		command: []string{nextProgram, "start", "-H", "localhost", "-p", "$PORT"},
	},
	{
		framework:  "SvelteKit",
		dependency: "@sveltejs/adapter-node",
		output:     "build/index.js",
		file:       "build/index.js",
	},
	{
		framework:  "AdonisJS",
		dependency: "@adonisjs/core",
		output:     "build/bin/server.js",
		file:       "build/bin/server.js",
	},
	{framework: "Nuxt", dependency: "nuxt", output: ".output/server/index.mjs", file: ".output/server/index.mjs"},
	{framework: "NestJS", dependency: "@nestjs/core", output: "dist/main.js", file: "dist/main.js"},
	{
		framework:  "Remix",
		dependency: "@remix-run/serve",
		output:     "build/server/index.js",
		command:    []string{"node_modules/.bin/remix-serve", "build/server/index.js"},
	},
	{framework: "Astro", dependency: "astro", output: "dist/server/entry.mjs", file: "dist/server/entry.mjs"},
	{framework: "Nitro", output: ".output/server/index.mjs", file: ".output/server/index.mjs"},
}

func detectNodeBuild(d *directory) *Detection {
	p := d.readPackage()
	for _, b := range nodeBuilds {
		if b.dependency != "" && !p.uses(b.dependency) || !d.has(b.output) {
			continue
		}

		if b.file != "" && !d.has(b.file) || b.instead != "" && d.has(b.instead) {
			continue
		}

		// The application has a server of its own, which uses the framework as a library.
		if b.command != nil && d.startedFile(p) != "" {
			continue
		}

		found := &Detection{Framework: b.framework, Because: "there is " + b.output}
		if b.dependency != "" {
			found.Because = "package.json has the dependency " + b.dependency + ", and " + found.Because
		}

		if b.file != "" {
			found.Type, found.StartupFile = "node", b.file
		} else {
			found.StartCommand = b.command
		}

		return found
	}

	return nil
}

// listening is what a file of Node.js has that serves by itself.
var listening = lazy(`\blisten\s*\(|\bcreateServer\b|@hono/node-server`)

// detectNodeFile is the rule for app.js, which is the original's startup file. The generator of Express makes one that
// does not listen: what does is bin/www. That of Fastify makes one that its command serves.
func detectNodeFile(d *directory) *Detection {
	found := byFile("node", "Node.js")(d)
	if found == nil {
		return nil
	}

	p := d.readPackage()
	file := d.startedFile(p)

	switch listens := listening().MatchString(d.read(found.StartupFile)); {
	case file == found.StartupFile:
		found.Because += d.howStarted(file)
	case listens:
	case file != "":
		found.StartupFile, found.Because = file, "package.json starts it"+d.howStarted(file)
	case p != nil && fastifyCommand().MatchString(p.Scripts["start"]):
		return detectNodeScript(d)
	}

	return found
}

var fastifyCommand = lazy(`(?:^|\s)fastify\s+start\b`)

// startedFile returns the file that the script start of package.json gives to Node.js; empty means none.
func (d *directory) startedFile(p *packageJSON) string {
	if p == nil {
		return ""
	}

	s, ok := parseNodeScript(p.Scripts["start"])
	if !ok || path.IsAbs(s.file) {
		return ""
	}

	// Of the directory itself, Node.js loads what package.json has as main.
	if path.Clean(s.file) == "." && p.Main != "" {
		return d.moduleFile(p.Main)
	}

	return d.moduleFile(s.file)
}

// howStarted returns the flags with which package.json starts a file, as the end of a clause.
func (d *directory) howStarted(file string) string {
	if s := d.startScript(file); s != nil {
		return s.describe()
	}

	return ""
}

// moduleFile returns the file that Node.js loads for a path; empty means none.
func (d *directory) moduleFile(name string) string {
	name = path.Clean(name)
	if !filepath.IsLocal(name) {
		return ""
	}

	return d.first(name, name+".js", path.Join(name, "index.js"))
}

// nodeFiles are the usual names of startup files.
var nodeFiles = []string{
	"server.js", "bin/www", "index.js", "main.js", "server.mjs", "index.mjs", "app.mjs", "main.mjs", "server.cjs",
	"index.cjs", "app.cjs", "main.cjs",
}

// detectNodeMain is the rule for what package.json names, and for the usual names of startup files.
func detectNodeMain(d *directory) *Detection {
	node := func(file, because string) *Detection {
		return &Detection{
			Framework:   "Node.js",
			Type:        "node",
			StartupFile: file,
			Because:     because,
		}
	}

	p := d.readPackage()
	if file := d.startedFile(p); file != "" {
		return node(file, "package.json starts it"+d.howStarted(file))
	}

	if p != nil && p.Main != "" {
		if file := d.moduleFile(p.Main); file != "" && listening().MatchString(d.read(file)) {
			return node(file, "it is the main file of package.json, and listens")
		}
	}

	for _, file := range nodeFiles {
		if d.has(file) && listening().MatchString(d.read(file)) {
			return node(file, "it is there, and listens")
		}
	}

	return nil
}

// startScript is where npm start finds its command.
const startScript = "the script start of package.json"

func detectNodeScript(d *directory) *Detection {
	p := d.readPackage()
	// Where Bun's lock file is, npm need not be: detectBun has the same script.
	if p == nil || p.Scripts["start"] == "" || d.first(bunLocks...) != "" {
		return nil
	}

	if d.isCircle(startScript, p.Scripts["start"]) {
		return nil
	}

	found := &Detection{
		Framework:    "Node.js",
		StartCommand: []string{"npm", "start"},
		Because:      "package.json has a script start, which has to listen on the port in PORT",
	}
	if s, ok := parseNodeScript(p.Scripts["start"]); ok && d.startedFile(p) == "" {
		found.Because += "; it starts " + s.file + ", which is not there: build the application first (npm run build)"
	}

	if site := d.staticSite(p); site != "" {
		found.Because += "; " + site
	}

	return found
}

// siteBuilders make sites of files alone, below the directory output.
var siteBuilders = []struct{ name, dependency, output string }{
	{"Gatsby", "gatsby", "public"},
	{"Docusaurus", "@docusaurus/core", "build"},
	{"Create React App", "react-scripts", "build"},
	{"Vue CLI", "@vue/cli-service", "dist"},
	{"Eleventy", "@11ty/eleventy", "_site"},
	{"VitePress", "vitepress", ".vitepress/dist"},
	{"Parcel", "parcel", "dist"},
	{"Vite", "vite", "dist"},
}

// serverFrameworks are dependencies of what serves by itself, whatever builds its pages.
var serverFrameworks = []string{
	"next", "nuxt", "@sveltejs/kit", "@remix-run/serve", "@remix-run/node", "@react-router/serve", "astro", "express",
	"fastify", "koa", "hono", "h3", "nitropack", "@adonisjs/core", "@nestjs/core", "@solidjs/start",
}

// staticSite returns a sentence about a directory whose build has nothing but files; empty means that it is none.
func (d *directory) staticSite(p *packageJSON) string {
	if slices.ContainsFunc(serverFrameworks, p.uses) {
		return ""
	}

	for _, b := range siteBuilders {
		if p.uses(b.dependency) {
			return fmt.Sprintf("%s makes a site of files: build it (npm run build), and serve %[2]s by a web server, "+
				"or by --start-command 'python3 -m http.server --bind 127.0.0.1 --directory %[2]s $PORT'", b.name,
				b.output)
		}
	}

	return ""
}
