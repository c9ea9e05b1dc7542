package spawner

// Check looks for what would keep app from being started with config, without
// starting anything: a directory that is none, a missing startup file,
// interpreter or start command, an unknown user. The error is a *SpawnError.
func Check(config *Config, app App) error {
	c := *config
	c.setDefaults()
	app.setDefaults()
	a := &attempt{app: app, config: &c, dir: &privateDir{}}
	err := a.check(newIdentifier(&c))
	if err == nil {
		return nil
	}

	e := &SpawnError{
		ID:          newErrorID(),
		AppName:     app.Name(),
		AppRoot:     app.Root,
		Environment: app.Environment,
		Err:         err,
	}
	d := diagnosis{app: &app, err: err, step: StepPrepare}
	if a.command != nil {
		e.Command = a.command.argv
		d.command = e.Command
	}

	d.explain(e)

	return e
}

func (a *attempt) check(i *identifier) error {
	program, err := findProgram(&a.app)
	if err != nil {
		return err
	}

	if a.identity, err = i.identify(&a.app, program.reference(&a.app)); err != nil {
		return err
	}

	if doubt := a.identity.doubt; doubt != nil && a.factory != nil && a.factory.isNew(doubt) {
		a.config.Logger.Info("warning: "+doubt.Error(),
			"app", a.app.Name(), "user", a.identity.name)
	}

	return a.identity.withRights(func() error { return a.readApp(program) })
}
