package spawner

import (
	"regexp"
	"strings"
	"sync"

	"github.com/gopassenger/passenger/loaderproto"
)

// What applications say of environment variables, in any order.
const (
	aVariable = `env(?:ironment)?[ _-]?var(?:iable)?s?`
	isMissing = `missing|required|requires|not set|isn't set|unset|undefined|not defined|must be set|` +
		`must set|not found|not provided`
)

// What interpreters say where the system, or a limit, gives them no memory and no thread or process.
const (
	isNoMemory = `\bMemoryError\b|\bNoMemoryError\b|\bcannot allocate memory\b|\bheap out of memory\b|` +
		`\bAllowed memory size of \d+ bytes exhausted`
	isNoThread = `can't start new thread|can't create Thread|pthread_create failed|failed to create new OS thread|` +
		`Resource temporarily unavailable - fork|BlockingIOError: \[Errno 11\] Resource temporarily unavailable`
)

// clues are what interpreters print. The first group is the subject; the first
// that matches counts.
var clues = []struct {
	pattern func() *regexp.Regexp
	problem problem
}{
	{
		lazy(`Bundler::GemNotFound\)?:? *(.*)|(Could not find .* in (?:any of the sources|locally installed gems.*))`),
		gemsMissing,
	},
	{lazy(`ModuleNotFoundError: No module named ('[^']+')`), moduleMissing},
	{lazy(`ImportError: No module named ('?[\w.]+'?)`), moduleMissing},
	{lazy(`Cannot find module '(\.{0,2}/[^']+)'`), fileMissing},
	{lazy(`Cannot find (?:module|package) ('[^']+')`), moduleMissing},
	{lazy(`cannot load such file -- ([^\s)]+)`), moduleMissing},
	{lazy(`((?:SyntaxError|IndentationError|TabError): .*)`), syntaxError},
	{lazy(`(.*syntax errors? found.*|.*: syntax error,? .*)`), syntaxError},
	{lazy(`(.*\b[Rr]ead-only file system.*)`), readOnly},
	{lazy(`(?i)(.*\b(?:no space left on device|disk quota exceeded)\b.*)`), noSpace},
	{lazy(`(?i)(.*\btoo many open files\b.*)`), noDescriptors},
	{lazy(`(?i)(.*(?:` + isNoMemory + `).*)`), noMemory},
	{lazy(`(?i)(.*(?:` + isNoThread + `).*)`), noThread},
	{
		lazy(`((?:PermissionError: |Errno::EACCES: |Error: EACCES).*|Permission denied .*\(Errno::EACCES\))`),
		permissionDenied,
	},
	{lazy(`(.*(?:EADDRINUSE|[Aa]ddress already in use).*)`), portInUse},
	// os.environ's own frame tells its KeyError from that of any dict.
	{
		lazy(`File "(?:[^"]*/os\.py|<frozen os>)", line \d+, in __getitem__\n(?:[ \t].*\n)*KeyError: '([^']+)'`),
		variableMissing,
	},
	// ENV.fetch, if the key looks like a variable's name.
	{lazy(`key not found: "([A-Z][A-Z0-9_]*)"`), variableMissing},
	{lazy(`(?i)missing .?(secret_key_base)\b`), variableMissing},                    // Rails
	{lazy(`required key ([A-Z][A-Z0-9_]*) missing value`), variableMissing},         // envconfig, Go
	{lazy(`\b([A-Z][A-Z0-9_]+) not found\. Declare it as envvar`), variableMissing}, // decouple, Python
	{lazy(`(?i)(.*\b(?:` + isMissing + `)\b.*\b` + aVariable + `.*)`), variableWanted},
	{lazy(`(?i)(.*\b` + aVariable + `\b.*\b(?:` + isMissing + `)\b.*)`), variableWanted},
	{lazy(`(.*ImproperlyConfigured: Set the \w+ environment variable.*)`), variableWanted}, // Django
}

// missingProgram is what a shell prints when it ends with the status 127, as below npm start.
var missingProgram = lazy(`(?m)^(?:\S*/)?(?:ba|da)?sh: (?:line )?\d+: (\S+): (?:command )?not found$`)

// lazy compiles a pattern when it is first used: most need a process that failed.
func lazy(pattern string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(pattern) })
}

// readClues looks at what the application said, and then at what it printed. A
// warning that was printed before is not why it said something else.
func (d *diagnosis) readClues(m *loaderproto.Message) (fault, bool) {
	if m == nil {
		clue, ok := readClues(d.output)
		// A shell exits with 127 if it does not find a command (POSIX, 2.8.2).
		if ok || d.status != "exit status 127" {
			return clue, ok
		}

		if match := missingProgram().FindStringSubmatch(d.output); match != nil {
			return fault{problem: moduleMissing, subject: shorten(match[1])}, true
		}

		return fault{}, false
	}

	if clue, ok := readClues(m.Text); ok {
		return clue, true
	}

	clue, ok := readClues(d.output)

	return clue, ok && clue.problem != variableWanted && !clue.problem.isOfResources()
}

func readClues(text string) (fault, bool) {
	for _, c := range clues {
		m := c.pattern().FindStringSubmatch(text)
		if m == nil {
			continue
		}

		subject := strings.TrimSpace(strings.Join(m[1:], ""))
		// Rails writes secret_key_base, and reads SECRET_KEY_BASE.
		if c.problem == variableMissing {
			subject = strings.ToUpper(subject)
		}

		return fault{problem: c.problem, subject: shorten(subject)}, true
	}

	return fault{}, false
}
