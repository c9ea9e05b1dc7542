package spawner

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"syscall"

	"github.com/gopassenger/passenger/internal/ownfile"
	"github.com/gopassenger/passenger/internal/redact"
	"github.com/gopassenger/passenger/loaderproto"
)

const protocolVersion = loaderproto.Version

// fault is what was wrong before there was a process to talk to, or with what
// it said.
type fault struct {
	problem problem
	subject string
	err     error
	// language is that of an interpreter, and remedy the command that would help; they may be nil and empty.
	language *language
	remedy   string
}

func (f *fault) Error() string {
	if f.err != nil {
		return f.err.Error()
	}

	return f.subject
}

func (f *fault) Unwrap() error { return f.err }

// diagnosis finds out what is behind a failed spawn.
type diagnosis struct {
	app      *App
	command  []string
	err      error
	canceled bool
	status   string
	output   string
	step     StepName
	port     int
	user     string
	// shell reports whether a shell executed the program.
	shell bool
	// loaders is the directory of ours; empty means that there is none yet.
	loaders string

	// identifier knows whose rights there are for what lies in a directory without an application.
	identifier *identifier

	fault fault
}

// look calls f with the path of the application's directory, if everybody may look at that: it has no user yet, and the
// path may lead, by a link of one tenant, to what only another one may see.
func (d *diagnosis) look(f func(root string)) error {
	stranger, err := d.identifier.stranger()
	if err != nil {
		return err
	}

	return stranger.withRights(func() error {
		dir, err := os.Open(d.app.Root)
		if err != nil {
			return err
		}

		f(d.app.Root)

		return dir.Close()
	})
}

// explainDirectory adds what is known of a directory without an application.
func (d *diagnosis) explainDirectory(e *SpawnError) {
	var advice string
	if err := d.look(func(root string) { advice = suggestion(root) }); err != nil {
		return
	}

	found, _ := errors.AsType[*noAppError](d.err)
	if found != nil && len(found.problems) > 0 {
		e.Summary += ": " + strings.Join(found.problems, "; ")
	}

	if found != nil && found.site != "" {
		advice = found.site + "."
	}

	if advice != "" {
		e.Advice += " " + advice
	}
}

// explain sets what e says to people.
func (d *diagnosis) explain(e *SpawnError) {
	d.fault = d.find()
	if p := (*loaderproto.Error)(nil); errors.As(d.err, &p) {
		e.Message = d.fold(p.Message)
	}

	// What the application says is part of some summaries.
	defer func() {
		r := redact.New(e.Env)
		e.Summary, e.Advice = r.Text(e.Summary), r.Text(e.Advice)
	}()

	w := wordings[d.fault.problem]
	e.Category, e.Summary, e.Advice = w.category, d.fill(w.summary), d.fill(w.advice)
	if d.fault.problem == noApp {
		d.explainDirectory(e)
	}

	// Only in these categories may the application's own code be at fault, which its output explains.
	if w.category != CategoryStartup && w.category != CategoryExplained && w.category != CategoryTimeout &&
		w.category != CategoryHealth {
		return
	}

	clue, ok := d.readClues(e.Message)
	if !ok {
		return
	}

	d.fault = clue
	w = wordings[clue.problem]

	e.Advice = d.fill(w.advice)
	switch e.Category { //nolint:exhaustive // the others have returned
	case CategoryTimeout:

		// What a process printed before it hung need not be why.
	case CategoryHealth:
		e.Summary += "; " + d.fill(w.summary)
	default:
		e.Summary = d.fill(w.summary)
	}
}

// fold leaves the application's frames in a message.
func (d *diagnosis) fold(m *loaderproto.Message) *loaderproto.Message {
	if m == nil || m.HTML {
		return m
	}

	return &loaderproto.Message{Text: foldFrames(m.Text, d.loaders)}
}

func (d *diagnosis) find() fault {
	var f *fault

	var p *loaderproto.Error
	switch {
	case d.canceled:
		return fault{problem: spawnCanceled}
	case errors.Is(d.err, ErrClosed):
		return fault{problem: factoryClosed}
	case errors.Is(d.err, errPortTaken):
		return fault{problem: portTaken}
	case lacksDescriptors(d.err):
		// Whatever could not be opened for want of them is not at fault.
		return fault{problem: descriptorLimit, err: d.err}
	case errors.As(d.err, &f):
		return *f
	case errors.As(d.err, &p):
		f := fault{problem: d.protocolProblem(p), subject: d.program()}
		if m := ownServer().FindStringSubmatch(d.output); m != nil && f.problem == notReady {
			f = fault{problem: servesItself, subject: shorten(m[1])}
		}

		return f
	}

	return fault{problem: internalProblem}
}

// ownServer is what programs print when they serve: Flask, uvicorn, hypercorn, aiohttp, Bottle, and people.
var ownServer = lazy(`(?i)\b(?:running|listening) (?:on|at):? +(https?://[\w.:\[\]-]*[\w\]])`)

// program is what was to be executed.
func (d *diagnosis) program() string {
	if len(d.command) == 0 {
		return d.app.Name()
	}

	return d.command[0]
}

func (d *diagnosis) protocolProblem(e *loaderproto.Error) problem {
	switch e.Kind {
	case loaderproto.AppError:
		return appExplained
	case loaderproto.BadRequest:
		return badRequest
	case loaderproto.UnexpectedLine:
		return notSpeaking
	case loaderproto.UnsupportedVersion:
		return otherVersion
	case loaderproto.ExitedEarly:
		return d.exitProblem()
	case loaderproto.TimedOut:
		// The process has ended, and what it left behind holds its stdout.
		if d.status != "" {
			return d.exitProblem()
		}

		return timeoutProblem(e.Step)
	case loaderproto.BadSocket, loaderproto.BadAddress:
		return badSocket
	case loaderproto.TruncatedLine, loaderproto.TruncatedBlock, loaderproto.MalformedLine, loaderproto.UnknownKey,
		loaderproto.BadPID, loaderproto.NoRequestSocket, loaderproto.TooManySockets, loaderproto.LineTooLong,
		loaderproto.BlockTooLong, loaderproto.ReadFailed, loaderproto.WriteFailed, loaderproto.Refused:
		return protocolBroken
	}

	return protocolBroken
}

func (d *diagnosis) exitProblem() problem {
	switch {
	case d.status == "":
		return stdoutClosed
	case d.status == "exit status 0":
		return exitedCleanly
	case strings.HasPrefix(d.status, "signal: killed"):
		return killed
	case strings.HasPrefix(d.status, "signal: "):
		return killedBySignal
	}

	// The status is POSIX's for a command that a shell does not find. A program of the application may use it, too.
	if d.shell && d.status == "exit status 127" && strings.Contains(d.output, "not found") {
		return commandMissing
	}

	return exitedWithStatus
}

func timeoutProblem(s loaderproto.Step) problem {
	switch s {
	case loaderproto.AwaitHandshake:
		return silent
	case loaderproto.SendRequest:
		return requestNotRead
	case loaderproto.AwaitReply:
		return notReady
	case loaderproto.ReadReady, loaderproto.ReadErrorAttributes, loaderproto.ReadErrorText:
		return readyUnfinished
	}

	return notReady
}

// startFault tells apart why path could not be executed.
func startFault(path string, err error) error {
	f := &fault{problem: startFailed, subject: path, err: err}
	switch {
	// fork(2): RLIMIT_NPROC, or a limit of the system or the control group.
	case errors.Is(err, syscall.EAGAIN):
		f.problem = processLimit
	case errors.Is(err, syscall.ENOMEM):
		f.problem = memoryLimit
	case lacksDescriptors(err):
		f.problem = descriptorLimit
	case errors.Is(err, syscall.ENOEXEC):
		f.problem = badFormat
	case errors.Is(err, fs.ErrPermission):
		f.problem = notExecutable
	case errors.Is(err, fs.ErrNotExist):
		// The program was there a moment ago, so it is what it asks for.
		interpreter := scriptInterpreter(path)
		if _, err := os.Stat(interpreter); interpreter != "" && err != nil {
			f.problem, f.subject = badInterpreter, strconv.Quote(interpreter)
		}
	}

	return f
}

// lacksDescriptors reports whether this program, or the system, has no descriptor left.
func lacksDescriptors(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE)
}

// scriptInterpreter returns what stands behind #! in the first line of a
// script.
func scriptInterpreter(path string) string {
	f, err := ownfile.OpenRegular(path) // it was about to be executed
	if err != nil {
		return ""
	}

	defer func() { _ = f.Close() }()
	const longest = 256 // what Linux reads of it
	head, err := io.ReadAll(io.LimitReader(f, longest))
	if err != nil {
		return ""
	}

	first, _, _ := strings.Cut(string(head), "\n")
	rest, ok := strings.CutPrefix(first, "#!")
	if !ok {
		return ""
	}

	interpreter, _, _ := strings.Cut(strings.Trim(rest, " \t"), " ")

	return interpreter
}

// line is what the program said that has no place there.
func (d *diagnosis) line() string {
	if e := (*loaderproto.Error)(nil); errors.As(d.err, &e) {
		return strconv.Quote(e.Line)
	}

	return ""
}

// message is the line that counts of what the application said: the first, but
// the exception of a Python traceback.
func (d *diagnosis) message() string {
	e := (*loaderproto.Error)(nil)
	if !errors.As(d.err, &e) || e.Message == nil {
		return ""
	}

	if e.Message.HTML {
		return "see its page"
	}

	text := strings.TrimSpace(e.Message.Text)
	if text == "" {
		return "without saying which"
	}

	first, rest, _ := strings.Cut(text, "\n")
	if before, ok := strings.CutSuffix(strings.TrimSpace(first), tracebackHead); ok {
		return shorten(before + pythonException(rest))
	}

	return shorten(strings.TrimSpace(first))
}

const tracebackHead = "Traceback (most recent call last):"

// pythonException returns the exception at the end of a traceback, in one line: what begins in the first column behind
// the last frame. Those of pydantic name in further lines what they miss.
func pythonException(text string) string {
	frame := strings.LastIndex("\n"+text, "\n  "+pythonFrame)

	lines := strings.Split(text[max(frame, 0):], "\n")
	for i, line := range lines {
		if line != "" && line[0] != ' ' {
			return strings.Join(strings.Fields(strings.Join(lines[i:], " ")), " ")
		}
	}

	return strings.TrimSpace(lines[len(lines)-1])
}

func errorText(err error) string {
	if err == nil {
		return ""
	}

	return err.Error()
}

// reason is err without the operation and the path, which stand beside it.
func reason(err error) string {
	if p := (*fs.PathError)(nil); errors.As(err, &p) {
		return p.Err.Error()
	}

	return errorText(err)
}

func shorten(s string) string {
	const longest = 200
	if len(s) > longest {
		// The cut may be inside a character.
		return fmt.Sprintf("%s...", strings.ToValidUTF8(s[:longest], ""))
	}

	return s
}
