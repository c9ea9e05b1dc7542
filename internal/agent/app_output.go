package agent

import (
	"cmp"
	"encoding/json"
	"errors"
	"log/slog"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/go-logr/logr"

	"github.com/gopassenger/passenger/internal/ratelog"
	"github.com/gopassenger/passenger/spawner"
)

// appOutput takes what the processes of applications print: into the server's log, or
// the files that applications have for it.
type appOutput struct {
	log    logr.Logger
	file   *logFile // the server's
	level  *logLevel
	format logFormat

	mu sync.Mutex
	// files are those of applications that are in use, by their paths.
	files map[string]*appLogFile
	// wrong bounds what is logged of files that cannot be opened.
	wrong ratelog.Line
}

// appLogFile is closed with its last user.
type appLogFile struct {
	*logFile
	users int
}

func newAppOutput(file *logFile, log logr.Logger, level *logLevel, format logFormat) *appOutput {
	return &appOutput{
		log:    log,
		file:   file,
		level:  level,
		format: format,
		files:  map[string]*appLogFile{},
	}
}

// hold opens the files that cfg names until release is called, so that what is wrong with
// them shows now.
func (a *appOutput) hold(cfg *Config) (release func() error, err error) {
	var held []*appLogFile
	release = func() error {
		errs := make([]error, 0, len(held))
		for _, f := range held {
			errs = append(errs, a.leave(f))
		}

		return errors.Join(errs...)
	}
	cfg.each(func(c *Config) {
		if c.AppLogFile == "" || err != nil {
			return
		}

		var f *appLogFile
		if f, err = a.use(c.AppLogFile); err == nil {
			held = append(held, f)
		}
	})
	if err != nil {
		return nil, errors.Join(err, release())
	}

	return release, nil
}

// use returns the file at path, which leave gives back.
func (a *appOutput) use(path string) (*appLogFile, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	f := a.files[path]
	if f == nil {
		opened, err := openLog(path, a.format)
		if err != nil {
			return nil, appLogError{withOption(err, appLogOption)}
		}

		opened.tellIn(a.log, appLogOption)
		f = &appLogFile{logFile: opened}
		a.files[path] = f
	}

	f.users++

	return f, nil
}

// appLogError says which option is meant.
type appLogError struct{ error }

func (e appLogError) Error() string { return "app_log_file: " + e.error.Error() }
func (e appLogError) Unwrap() error { return e.error }

func (a *appOutput) leave(f *appLogFile) error {
	a.mu.Lock()
	f.users--
	last := f.users == 0
	// Under the lock, so that another user of the path opens the file again and does not get this one.
	if last {
		delete(a.files, f.path)
	}

	a.mu.Unlock()

	if !last {
		return nil
	}

	// Without the lock, which others need: the close may wait for a disk.
	return f.close()
}

// reopen opens the files of applications again.
func (a *appOutput) reopen() error {
	a.mu.Lock()
	defer a.mu.Unlock()

	errs := make([]error, 0, len(a.files))
	for _, f := range a.files {
		if err := f.reopen(); err != nil {
			errs = append(errs, appLogError{withOption(err, appLogOption)})
		}
	}

	return errors.Join(errs...)
}

// open is spawner.Config's.
func (a *appOutput) open(app *spawner.App) spawner.Output { return a.openCompanion(app, "") }

// openCompanion is open for a companion of app; an empty name means one of its processes.
func (a *appOutput) openCompanion(app *spawner.App, name string) spawner.Output {
	if app.LogFile != "" {
		f, err := a.use(app.LogFile)
		if err == nil {
			return &ownLog{from: a, file: f, app: app.Name(), companion: name}
		}

		a.wrong.Tell(func(more int) {
			a.log.Error(err, "cannot open the log file of an application, whose output goes to this log: name "+
				"another file, or correct its rights",
				"app", app.Name(), "more", more)
		})
	}

	short := shortName(app)
	if name != "" {
		short += "/" + name
	}

	return &sharedLog{to: a, app: app.Name(), short: short, companion: name}
}

// shortName is what people call an application.
func shortName(app *spawner.App) string {
	name := app.Name()
	if name != app.Root && !strings.HasPrefix(name, app.Root+" (") {
		return name
	}

	dir := app.Root
	if base := filepath.Base(dir); base == "current" {
		// Releases have a directory of their own, with a link named current beside it.
		dir = filepath.Dir(dir)
	}

	return filepath.Base(dir)
}

// sharedLog is the server's log, for a process.
type sharedLog struct {
	to         *appOutput
	app, short string
	// companion is its name; empty for a process that takes requests.
	companion string
}

// Line writes a line where information is logged.
func (l *sharedLog) Line(pid int, stream, text string) {
	to := l.to
	switch {
	case to.level.Level() > slog.LevelInfo:
	case to.format == textFormat:
		b := appendPrintable(nil, l.short, false)
		b = append(b, '[')
		b = strconv.AppendInt(b, int64(pid), 10)
		b = append(b, "] "...)
		_, _ = to.file.Write(append(appendPrintable(b, text, true), '\n'))
	case to.format == jsonFormat:
		_, _ = to.file.Write(jsonLine(l.app, l.companion, pid, stream, text))
	case l.companion != "":
		to.log.Info(text, "app", l.app, "companion", l.companion, "pid", pid, "stream", stream)
	default:
		to.log.Info(text, "app", l.app, "pid", pid, "stream", stream)
	}
}

// Close has nothing to close.
func (*sharedLog) Close() {}

// ownLog is a file of the application's own, for a process. It has the lines as they
// came, and as JSON where all is.
type ownLog struct {
	from *appOutput
	file *appLogFile
	app  string
	// companion is its name; empty for a process that takes requests.
	companion string
}

// Line writes a line, whatever is logged elsewhere.
func (l *ownLog) Line(pid int, stream, text string) {
	// The file has JSON for a program that reads it, so a text must not stand in between.
	if l.from.format == jsonFormat {
		_, _ = l.file.Write(jsonLine(l.app, l.companion, pid, stream, text))
		return
	}

	_, _ = l.file.Write([]byte(text + "\n"))
}

// Close gives the file back.
func (l *ownLog) Close() {
	if err := l.from.leave(l.file); err != nil {
		l.from.log.Error(err, "the log of an application is not complete", "app", l.app)
	}
}

// jsonLine is the record of a line of an application. An object stays one.
func jsonLine(app, companion string, pid int, stream, text string) []byte {
	r := jsonRecord{
		Level:     "INFO",
		App:       app,
		Companion: companion,
		PID:       pid,
		Stream:    stream,
	}
	if trimmed := strings.TrimSpace(text); strings.HasPrefix(trimmed, "{") && json.Valid([]byte(trimmed)) {
		// It is written as it is, and JSON may have other bytes in its texts for package json, but not for readers.
		r.AppLine = json.RawMessage(strings.ToValidUTF8(trimmed, "\ufffd"))
	} else {
		r.Message = text
	}

	return r.line()
}

// AppLog says where the output of an application is.
type AppLog struct {
	// Name is that of its group, and Short what its lines begin with in text.
	Name  string `json:"name"`
	Root  string `json:"root"`
	Short string `json:"short"`
	// File is empty for the server's log.
	File string `json:"file"`
}

func newAppLog(app *spawner.App) AppLog {
	return AppLog{
		Name:  app.Name(),
		Root:  app.Root,
		Short: shortName(app),
		File:  app.LogFile,
	}
}

// appLogs are those of the applications that are known, sorted by their names.
func (s *Server) appLogs() []AppLog {
	logs := []AppLog{}
	if many, ok := s.site.(*apps); ok {
		logs = append(logs, many.logs()...)
	} else {
		s.cfg.each(func(c *Config) {
			app := c.options().App
			logs = append(logs, newAppLog(&app))
		})
	}

	slices.SortFunc(logs, func(a, b AppLog) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.Root, b.Root), strings.Compare(a.File, b.File))
	})

	return logs
}
