package hooks

// inFrame calls run in a function named for the hook, so that a stack trace says
// which one does not return.
func inFrame(name Name, run func()) {
	switch name {
	case AttachedProcess:
		attachedProcessHook(run)
	case DetachedProcess:
		detachedProcessHook(run)
	case SpawnFailed:
		spawnFailedHook(run)
	case QueueFullError:
		queueFullErrorHook(run)
	case MaxRequestTimeReached:
		maxRequestTimeReachedHook(run)
	case AfterInitializeSupergroup:
		afterInitializeSupergroupHook(run)
	case BeforeDestroySupergroup:
		beforeDestroySupergroupHook(run)
	case BeforeWatchdogInitialization:
		beforeWatchdogInitializationHook(run)
	case AfterWatchdogInitialization:
		afterWatchdogInitializationHook(run)
	case BeforeWatchdogShutdown:
		beforeWatchdogShutdownHook(run)
	case AfterWatchdogShutdown:
		afterWatchdogShutdownHook(run)
	default:
		run()
	}
}

func attachedProcessHook(run func())              { run() }
func detachedProcessHook(run func())              { run() }
func spawnFailedHook(run func())                  { run() }
func queueFullErrorHook(run func())               { run() }
func maxRequestTimeReachedHook(run func())        { run() }
func afterInitializeSupergroupHook(run func())    { run() }
func beforeDestroySupergroupHook(run func())      { run() }
func beforeWatchdogInitializationHook(run func()) { run() }
func afterWatchdogInitializationHook(run func())  { run() }
func beforeWatchdogShutdownHook(run func())       { run() }
func afterWatchdogShutdownHook(run func())        { run() }
