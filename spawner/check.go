package spawner

import "os"

// Check looks for what would keep app from being started, without starting
// anything: a directory that is none, a missing startup file, interpreter or
// start command. The error is a *SpawnError.
func Check(app App) error {
	app.setDefaults()
	command, err := checkCommand(&app)
	if err == nil {
		return nil
	}
	e := &SpawnError{ID: newErrorID(), AppName: app.Name(), AppRoot: app.Root, Err: err}
	if command != nil {
		e.Command = command.argv
	}
	d := diagnosis{app: &app, command: e.Command, err: err, step: StepPrepare}
	d.explain(e)
	return e
}

func checkCommand(app *App) (*command, error) {
	if _, err := identify(app); err != nil {
		return nil, &fault{problem: otherUser, err: err}
	}
	if err := checkRoot(app.Root, os.Stat); err != nil {
		return nil, err
	}
	return resolve(app, "")
}
