package spawner

import (
	"fmt"
	"slices"
	"strings"
)

// Check looks for what would keep app from being started with config, without
// starting anything: a directory that is none, a missing startup file,
// interpreter or start command, an unknown user. The error is a *SpawnError.
func Check(config *Config, app App) error {
	_, err := Interpreters(config, app)
	return err
}

// Interpreters returns the interpreters that app would be started with, its own last, or else Check's error. It
// executes nothing.
func Interpreters(config *Config, app App) ([]Interpreter, error) {
	c := *config
	c.setDefaults()
	app.setDefaults()
	// The directory is empty, as nothing is started: the paths of loaders that come out are not used.
	a := &attempt{app: app, config: &c, dir: &privateDir{}}
	i := newIdentifier(&c)
	err := a.check(i)
	if err == nil {
		return a.command.interpreters, nil
	}

	e := &SpawnError{
		ID:          newErrorID(),
		AppName:     app.Name(),
		AppRoot:     app.Root,
		Environment: app.Environment,
		Err:         err,
	}
	d := diagnosis{app: &app, err: err, step: StepPrepare, identifier: i}
	if a.command != nil {
		e.Command = a.command.argv
		d.command = e.Command
	}

	d.explain(e)

	return nil, e
}

func (a *attempt) check(i *identifier) error {
	// The owner of what is found may decide who the user is, so this comes before there are rights of a user.
	program, err := findProgram(&a.app)
	if err != nil {
		return err
	}

	if a.identity, err = i.identify(&a.app, program.reference(&a.app)); err != nil {
		return err
	}

	if doubt := a.identity.doubt; doubt != nil && a.factory != nil && a.factory.isNew(doubt.Error()) {
		a.config.Logger.Info("warning: "+doubt.Error(),
			"app", a.app.Name(), "user", a.identity.name)
	}

	err = a.identity.withRights(func() error { return a.readApp(program) })
	// After a failure too, as the application may have been taken for another one.
	a.reportDetection(program)
	a.reportInterpreters()

	return err
}

// reportInterpreters logs, once, those of version files, and what is not certain about them.
func (a *attempt) reportInterpreters() {
	if a.factory == nil || a.command == nil {
		return
	}

	for _, i := range a.command.interpreters {
		values := []any{
			"app", a.app.Name(), "interpreter", i.Path, "version", i.Version, "from", i.From,
			"wanted", i.Wanted, "by", i.WantedBy,
		}

		switch {
		case i.Wanted == "" || !a.factory.isNew(fmt.Sprint(values...)):
		case i.Warning != "":
			a.config.Logger.Info("warning: the interpreter may be the wrong one: "+i.Warning, values...)
		case i.From != fromPATH:
			a.config.Logger.Info("the interpreter has the version that the application asks for", values...)
		}
	}
}

// reportDetection logs, once, what an application was taken for where the files of the original do not say it, or where
// it could be something else.
func (a *attempt) reportDetection(p *program) {
	if a.factory == nil || len(p.detected) == 0 {
		return
	}

	found := &p.detected[0]
	if found.Framework == "" || len(p.detected) == 1 && slices.Contains(startupFiles(), found.StartupFile) {
		return
	}

	how := found.StartupFile
	if found.Type == "" {
		how = strings.Join(found.StartCommand, " ")
	}

	values := []any{"app", a.app.Name(), "as", found.Framework, "because", found.Because, "start", how}
	if len(p.detected) > 1 {
		values = append(values, "otherwise", p.detected[1].Framework, "choose",
			"by app_type and startup_file, or start_command: see passenger detect")
	}

	if a.command != nil && len(a.command.interpreters) > 0 {
		own := a.command.interpreters[len(a.command.interpreters)-1]
		if own.From != fromPATH {
			values = append(values, "interpreter", own.Path)
		}
	}

	if a.factory.isNew(fmt.Sprint(values...)) {
		a.config.Logger.Info("recognized an application", values...)
	}
}
