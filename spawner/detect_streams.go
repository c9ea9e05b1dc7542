package spawner

import (
	"maps"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
)

// Streams are the paths of WebSockets and long responses that the framework of an application is known to use.
type Streams struct {
	// Type is that of the application; empty means a start command.
	Type string
	// Paths are below the base URI, and begin with a slash.
	Paths []string
	// Because says what they were recognized by, as clauses for people.
	Because []string
	// Separate says why a message from one process does not reach the clients of another, as a clause for people; empty
	// means that it may.
	Separate string
}

// DetectStreams looks for the framework of an application as [Detect] does: it reads some files and executes none. What
// cannot be read or started has no such paths.
func DetectStreams(app App) Streams {
	app.setDefaults()
	p, err := findProgram(&app)
	if err != nil {
		return Streams{}
	}

	root, err := os.OpenRoot(app.Root)
	if err != nil {
		return Streams{}
	}
	defer root.Close()

	d := &directory{root: root, name: app.Root}
	s := Streams{Type: p.appType.Name}

	switch s.Type {
	case "rack":
		d.cableStreams(&s, app.Environment)
	case "wsgi", "asgi":
		d.pythonStreams(&s)
	default:
		// A start command may be npm start.
		d.nodeStreams(&s)
	}

	return s
}

func (s *Streams) add(path, because string) {
	if !slices.Contains(s.Paths, path) {
		s.Paths = append(s.Paths, path)
		s.Because = append(s.Because, because)
	}
}

var (
	actionCable = lazy(`(?m)^ {4}actioncable \(`)
	cablePath   = lazy(`action_cable\.mount_path\s*=\s*["'](/[\w/-]+)["']`)
	cableRoute  = lazy(`ActionCable\.server\s*(?:=>|,\s*at:)\s*["'](/[\w/-]+)["']`)
	// adapterLine is a line of a section of config/cable.yml.
	adapterLine = lazy(`^\s+adapter:\s*["']?(\w+)`)
)

// cableStreams finds Action Cable of Rails.
func (d *directory) cableStreams(s *Streams, environment string) {
	because := "there is config/cable.yml"
	cable := d.read("config/cable.yml")
	if cable == "" {
		because = "Gemfile.lock has actioncable"
		if !d.has("config/application.rb") || !actionCable().MatchString(d.read("Gemfile.lock")) {
			return
		}
	}

	// These adapters reach the clients of their own process only, which has to be the one that has the pages.
	switch adapter := cableAdapter(cable, environment); adapter {
	case "async", "inline":
		s.Separate = "config/cable.yml has the adapter " + adapter
		return
	case "test":
		return
	}

	for _, source := range []struct {
		file    string
		pattern func() *regexp.Regexp
	}{
		// Rails reads this one after application.rb, so that it counts more.
		{"config/environments/" + environment + ".rb", cablePath},
		{"config/application.rb", cablePath},
		{"config/routes.rb", cableRoute},
	} {
		for line := range strings.Lines(d.read(source.file)) {
			code, _, _ := strings.Cut(line, "#")
			if match := source.pattern().FindStringSubmatch(code); match != nil {
				s.add(path.Clean(match[1]), source.file+" mounts Action Cable there")
				return
			}
		}
	}

	s.add("/cable", because)
}

// cableAdapter returns the adapter that a config/cable.yml has for an environment.
func cableAdapter(cable, environment string) string {
	inSection := false
	for line := range strings.Lines(cable) {
		if line[0] != ' ' && line[0] != '\t' && strings.TrimSpace(line) != "" {
			name, _, _ := strings.Cut(line, ":")
			inSection = name == environment
		}

		if match := adapterLine().FindStringSubmatch(line); inSection && match != nil {
			return match[1]
		}
	}

	return ""
}

// socketIO is the path that Socket.IO has unless it is configured with another one.
const socketIO = "/socket.io"

func (d *directory) nodeStreams(s *Streams) {
	p := d.readPackage()
	if p == nil {
		return
	}

	for _, name := range []string{"socket.io", "@nestjs/platform-socket.io", "fastify-socket.io"} {
		if _, used := p.Dependencies[name]; used {
			s.add(socketIO, "package.json has the dependency "+name)
			if !p.dependsOnAdapter() {
				s.Separate = "package.json has the dependency " + name + " and no adapter for it"
			}

			return
		}
	}
}

// dependsOnAdapter reports whether Socket.IO may pass messages on to other processes, as by @socket.io/redis-adapter,
// or socket.io-redis of earlier versions.
func (p *packageJSON) dependsOnAdapter() bool {
	for name := range p.Dependencies {
		ofSocketIO := strings.Contains(name, "socket.io")
		if ofSocketIO && (strings.HasSuffix(name, "-adapter") || strings.HasSuffix(name, "redis")) {
			return true
		}
	}

	return false
}

var (
	pythonSocketIO = lazy(`(?mi)^\s*["']?((?:python|flask)-socketio)\b`)
	// channelsRoute is path("ws/chat/", or re_path(r"^ws/(?P<room>\w+)/$",.
	channelsRoute = lazy(`\b(re_)?path\(\s*r?["']\^?([^"']*)["']`)
)

func (d *directory) pythonStreams(s *Streams) {
	for _, file := range []string{"requirements.txt", "pyproject.toml", "Pipfile"} {
		if match := pythonSocketIO().FindStringSubmatch(d.read(file)); match != nil {
			s.add(socketIO, file+" has "+match[1])
			break
		}
	}

	packages := d.packages(".")
	files := slices.Grow([]string{"routing.py", "asgi.py"}, 2*len(packages))

	for _, name := range packages {
		files = append(files, name+"/routing.py", name+"/asgi.py")

		settings := name + "/settings.py"
		source := d.read(settings)
		if strings.Contains(source, "InMemoryChannelLayer") && !strings.Contains(source, "RedisChannelLayer") {
			s.Separate = settings + " has the InMemoryChannelLayer"
		}
	}

	for _, file := range files {
		source := d.read(file)
		if !strings.Contains(source, "websocket") {
			continue
		}

		values := parsePython(source).values
		for _, name := range slices.Sorted(maps.Keys(values)) {
			value := values[name]
			if !strings.Contains(value, "path(") {
				continue
			}

			for _, match := range channelsRoute().FindAllStringSubmatch(value, -1) {
				if literal := literalPath(match[2], match[1] != ""); literal != "" {
					s.add(literal, file+" has a route of WebSockets there")
				}
			}
		}
	}
}

// literalPath returns the part of a route of Django that has no parameters, up to a slash; empty means that there is
// none.
func literalPath(route string, isPattern bool) string {
	special := "<"
	if isPattern {
		special = `\.+*?()|[]{}^$<`
	}

	at := strings.IndexAny(route, special)
	if at >= 0 && route[at] != '$' {
		// What stands before belongs to the same segment.
		route = route[:strings.LastIndex(route[:at], "/")+1]
	} else if at >= 0 {
		route = route[:at]
	}

	literal := path.Clean("/" + route)
	if literal == "/" || !plainRoute().MatchString(literal) {
		return ""
	}

	return literal
}

var plainRoute = lazy(`^[\w/.~-]+$`)
