package agent

import (
	"reflect"
	"strings"
)

// settings are what the admin API shows, by their names in Passengerfile.json.
// Environment variables of the application may be secret and are left out.
func (c *Config) settings() map[string]any {
	settings := map[string]any{}
	collectSettings(settings, reflect.ValueOf(c).Elem())
	delete(settings, "envvars")
	if c.Flying != nil {
		collectSettings(settings, reflect.ValueOf(c.Flying).Elem())
	}
	return settings
}

func collectSettings(settings map[string]any, of reflect.Value) {
	for field, value := range of.Fields() {
		name, squash, _ := strings.Cut(field.Tag.Get("koanf"), ",")
		switch {
		case squash != "":
			collectSettings(settings, value)
		case name != "-":
			settings[name] = value.Interface()
		}
	}
}

// reopens returns reopen if there is a log file that can be opened anew.
func (c *Config) reopens(reopen func() error) func() error {
	if c.LogFile == "" && (c.AccessLog == "" || c.AccessLog == standardOutput) {
		return nil
	}
	return reopen
}
