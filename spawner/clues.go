package spawner

import (
	"regexp"
	"strings"

	"github.com/gopassenger/passenger/loaderproto"
)

// What applications say of environment variables, in any order.
const (
	aVariable = `env(?:ironment)?[ _-]?var(?:iable)?s?`
	isMissing = `missing|required|requires|not set|isn't set|unset|undefined|not defined|must be set|` +
		`must set|not found|not provided`
)

// clues are what interpreters print. The first group is the subject; the first
// that matches counts.
var clues = []struct {
	pattern *regexp.Regexp
	problem problem
}{
	{regexp.MustCompile(`Bundler::GemNotFound\)?:? *(.*)|(Could not find .* in (?:any of the sources|locally installed gems.*))`), gemsMissing},
	{regexp.MustCompile(`ModuleNotFoundError: No module named ('[^']+')`), moduleMissing},
	{regexp.MustCompile(`ImportError: No module named ('?[\w.]+'?)`), moduleMissing},
	{regexp.MustCompile(`Cannot find (?:module|package) ('[^']+')`), moduleMissing},
	{regexp.MustCompile(`cannot load such file -- (\S+)`), moduleMissing},
	{regexp.MustCompile(`((?:SyntaxError|IndentationError|TabError): .*)`), syntaxError},
	{regexp.MustCompile(`(.*syntax errors? found.*|.*: syntax error,? .*)`), syntaxError},
	{regexp.MustCompile(`(.*\b[Rr]ead-only file system.*)`), readOnly},
	{regexp.MustCompile(`((?:PermissionError: |Errno::EACCES|Error: EACCES).*)`), permissionDenied},
	{regexp.MustCompile(`(.*(?:EADDRINUSE|[Aa]ddress already in use).*)`), portInUse},
	// os.environ's own frame tells its KeyError from that of any dict.
	{regexp.MustCompile(`File "(?:[^"]*/os\.py|<frozen os>)", line \d+, in __getitem__\n(?:[ \t].*\n)*KeyError: '([^']+)'`), variableMissing},
	// ENV.fetch, if the key looks like a variable's name.
	{regexp.MustCompile(`key not found: "([A-Z][A-Z0-9_]*)"`), variableMissing},
	{regexp.MustCompile(`(?i)missing .?(secret_key_base)\b`), variableMissing},                    // Rails
	{regexp.MustCompile(`required key ([A-Z][A-Z0-9_]*) missing value`), variableMissing},         // envconfig, Go
	{regexp.MustCompile(`\b([A-Z][A-Z0-9_]+) not found\. Declare it as envvar`), variableMissing}, // decouple, Python
	{regexp.MustCompile(`(?i)(.*\b(?:` + isMissing + `)\b.*\b` + aVariable + `.*)`), variableWanted},
	{regexp.MustCompile(`(?i)(.*\b` + aVariable + `\b.*\b(?:` + isMissing + `)\b.*)`), variableWanted},
	{regexp.MustCompile(`(.*ImproperlyConfigured: Set the \w+ environment variable.*)`), variableWanted}, // Django
}

// readClues looks at what the application said, and then at what it printed. A
// warning that was printed before is not why it said something else.
func (d *diagnosis) readClues(m *loaderproto.Message) (fault, bool) {
	if m == nil {
		return readClues(d.output)
	}

	if clue, ok := readClues(m.Text); ok {
		return clue, true
	}

	clue, ok := readClues(d.output)

	return clue, ok && clue.problem != variableWanted && clue.problem != readOnly
}

func readClues(text string) (fault, bool) {
	for _, c := range clues {
		m := c.pattern.FindStringSubmatch(text)
		if m == nil {
			continue
		}

		subject := strings.TrimSpace(strings.Join(m[1:], ""))
		if c.problem == variableMissing {
			subject = strings.ToUpper(subject)
		}

		return fault{problem: c.problem, subject: shorten(subject)}, true
	}

	return fault{}, false
}
