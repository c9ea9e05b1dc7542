package hooks

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/gopassenger/passenger/internal/inherit"
	"github.com/gopassenger/passenger/internal/redact"
)

const (
	prefix = "PASSENGER_"
	// maxValue is the most bytes of a variable's value. The system refuses to
	// start a program with one of 128 KiB.
	maxValue = 32 << 10
)

// own are the variables that only an event may set.
var own = []string{
	"HOOK_NAME", "VERSION", "PROCESS_PID", "APP_ROOT", "APP_GROUP_NAME", "ERROR_MESSAGE", "ERROR_ID",
	"APP_ERROR_MESSAGE",
	"ERROR_ADVICE", "ERROR_REPORT",
	"APP_ID", "REQUEST_PATH", "REQUEST_HOST", "EVENT_COUNT", "INCIDENT_FILE",
}

// environ is the environment of a script: what is inherited, without what is for
// us, secrets of ours and what an earlier event may have left, the options, and
// what there is to say of e.
func (s *Scripts) environ(inherited []string, e *Event) []string {
	vars := map[string]string{}
	for _, entry := range inherited {
		name, value, ok := strings.Cut(entry, "=")
		// Scripts are the operator's, and so are the credentials of the unit.
		if !ok || inherit.IsForUs(name) && name != "CREDENTIALS_DIRECTORY" {
			continue
		}

		rest, ours := strings.CutPrefix(name, prefix)
		if ours && (redact.IsSecret(rest, value) || slices.Contains(own, rest)) {
			continue
		}

		vars[name] = value
	}

	for name, value := range s.options {
		vars[name] = escape(value)
	}

	// After the options: one of the same name must not hide what has happened.
	for name, value := range e.vars() {
		vars[prefix+name] = escape(value)
	}

	vars[prefix+"VERSION"] = escape(s.version)

	env := make([]string, 0, len(vars))
	for _, name := range slices.Sorted(maps.Keys(vars)) {
		env = append(env, name+"="+vars[name])
	}

	return env
}

func (e *Event) vars() map[string]string {
	v := map[string]string{"HOOK_NAME": string(e.Name)}
	switch e.Name {
	case AttachedProcess, DetachedProcess:
		v["PROCESS_PID"] = strconv.Itoa(e.PID)
		v["APP_ROOT"] = e.AppRoot
	case SpawnFailed:
		v["APP_ROOT"] = e.AppRoot
		v["APP_GROUP_NAME"] = e.GroupName
		v["ERROR_MESSAGE"] = e.ErrorMessage
		v["ERROR_ID"] = e.ErrorID
		v["APP_ERROR_MESSAGE"] = e.AppErrorMessage
		v["ERROR_ADVICE"] = e.ErrorAdvice
		if e.ErrorReport != "" {
			v["ERROR_REPORT"] = e.ErrorReport
		}
	case QueueFullError:
		v["APP_ROOT"] = e.AppRoot
		v["APP_GROUP_NAME"] = e.GroupName
		v["ERROR_MESSAGE"] = e.ErrorMessage
		v["ERROR_ID"] = e.ErrorID

		// The application has said nothing. The original's documentation promises the
		// variable, and a script may insist on it.
		v["APP_ERROR_MESSAGE"] = e.AppErrorMessage
		v["EVENT_COUNT"] = strconv.Itoa(max(1, e.Count))
	case MaxRequestTimeReached:
		v["APP_ID"] = strconv.Itoa(e.PID)
		v["REQUEST_PATH"] = e.RequestPath
		if e.RequestHost != "" {
			v["REQUEST_HOST"] = e.RequestHost
		}
	case AfterInitializeSupergroup, BeforeDestroySupergroup:
		v["APP_ROOT"] = e.AppRoot
	case BeforeWatchdogInitialization, AfterWatchdogInitialization, BeforeWatchdogShutdown, AfterWatchdogShutdown:
	}

	if e.IncidentFile != "" {
		v["INCIDENT_FILE"] = e.IncidentFile
	}

	return v
}

// escape makes s the value of one variable: a NUL, which would end it, becomes
// \x00, and what is too long is cut, and says so.
func escape(s string) string {
	s = strings.ReplaceAll(s, "\x00", `\x00`)
	if len(s) <= maxValue {
		return s
	}

	end := maxValue
	for back := 0; back < utf8.UTFMax && !utf8.RuneStart(s[end]); back++ {
		end--
	}

	return s[:end] + fmt.Sprintf("... (%d more bytes)", len(s)-end)
}

// optionVars are the variables of options, without those that look like secrets.
func optionVars(options map[string]string) (map[string]string, error) {
	vars := make(map[string]string, len(options))
	for _, option := range slices.Sorted(maps.Keys(options)) {
		if option == "" || strings.ContainsAny(option, "=\x00") {
			return nil, fmt.Errorf("option %q cannot be the name of a variable", option)
		}

		name := prefix + strings.ToUpper(option)
		if _, twice := vars[name]; twice {
			return nil, fmt.Errorf("two options would be the variable %s", name)
		}

		if !redact.IsSecret(option, options[option]) {
			vars[name] = options[option]
		}
	}

	return vars, nil
}
