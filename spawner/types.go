package spawner

import (
	"path/filepath"
	"strings"
)

// AppType is a kind of application that there is a loader for.
type AppType struct {
	Name string
	// StartupFile is what an application of this type has in its root.
	StartupFile  string
	processTitle string
	// traceFile reports whether its loader writes backtraces into a file that exists before.
	traceFile bool
	// costlyTraces reports whether its loader needs memory for them: only processes with a time limit have them.
	costlyTraces bool
}

// appTypes are in the order in which they are looked for.
var appTypes = []AppType{
	{Name: "rack", StartupFile: "config.ru", processTitle: "Passenger RubyApp", traceFile: true},
	{Name: "wsgi", StartupFile: "passenger_wsgi.py", processTitle: "Passenger WsgiApp", traceFile: true},
	{Name: "asgi", StartupFile: "passenger_asgi.py", processTitle: "Passenger AsgiApp", traceFile: true},
	{Name: "node", StartupFile: "app.js", processTitle: "Passenger NodeApp", costlyTraces: true},
	{Name: meteorType, StartupFile: meteorMark, processTitle: "Passenger MeteorApp", costlyTraces: true},
	{Name: phpType, StartupFile: phpIndex, processTitle: "Passenger PhpApp"},
}

// typesByExtension maps the end of a startup file's name to its type.
var typesByExtension = map[string]string{
	".ru": "rack", ".py": "wsgi", ".js": "node", ".cjs": "node", ".mjs": "node", phpExtension: phpType,
}

// typeByStartupFile returns the type that the name of a startup file tells. A name
// without an extension, such as bin/www, tells none.
func typeByStartupFile(file string) (AppType, bool) {
	return findType(typesByExtension[filepath.Ext(file)])
}

func typeNames() string {
	names := make([]string, len(appTypes))
	for i, t := range appTypes {
		names[i] = t.Name
	}

	return strings.Join(names, ", ")
}

func findType(name string) (AppType, bool) {
	for _, t := range appTypes {
		if t.Name == name {
			return t, true
		}
	}

	return AppType{}, false
}

// ASGIServers returns the names for App.ASGIServer.
func ASGIServers() []string { return []string{"auto", "uvicorn", "hypercorn"} }

// ProcessTitle returns the title that processes of a type have, before the name of the
// application; empty for other types.
func ProcessTitle(appType string) string {
	t, _ := findType(appType)
	return t.processTitle
}

// DefaultSpawnMethod is what an empty App.SpawnMethod stands for.
func DefaultSpawnMethod(appType string) string {
	if loadersByType[appType].smart {
		return SmartSpawning
	}

	return DirectSpawning
}
