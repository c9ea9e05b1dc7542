package spawner

// problem is a thing that goes wrong when processes are started.
type problem uint8

const (
	internalProblem problem = iota
	factoryClosed
	badRequest
	spawnCanceled
	dirUnusable
	otherUser
	unknownUser
	unknownGroup
	unsafePlace
	userDatabase
	wrongIdentity
	envFileUnusable
	settingsUnusable
	noPort
	portTaken
	notServingSocket
	notServing
	servingElsewhere
	loopbackDown
	unhealthy
	unhealthyHost
	unhealthyPath
	unhealthyTooLong
	checkTimedOut
	brokenCheck
	endedInCheck
	preloaderGone
	preloaderHangs
	preloaderBroken
	foreignWorker
	rootMissing
	rootNotDirectory
	rootForbidden
	rootUnusable
	noApp
	startupFileMissing
	startupFileUnusable
	interpreterMissing
	versionMissing
	versionUnclear
	versionUnsafe
	phpMissing
	venvUnusable
	commandMissing
	companionMissing
	builderMissing
	notExecutable
	badInterpreter
	badFormat
	processLimit
	memoryLimit
	descriptorLimit
	startFailed
	exitedCleanly
	exitedWithStatus
	killedBySignal
	killed
	stdoutClosed
	moduleMissing
	fileMissing
	gemsMissing
	syntaxError
	readOnly
	noSpace
	noDescriptors
	noMemory
	noThread
	permissionDenied
	portInUse
	variableMissing
	variableWanted
	appExplained
	notSpeaking
	otherVersion
	protocolBroken
	badSocket
	foreignPID
	silent
	requestNotRead
	notReady
	servesItself
	readyUnfinished
)

// isOfServing reports whether the process runs, and does not serve where it has to.
func (p problem) isOfServing() bool { return notServingSocket <= p && p <= loopbackDown }

// isOfCheck reports whether the process started, and failed when it was asked.
func (p problem) isOfCheck() bool { return unhealthy <= p && p <= endedInCheck }

// isOfResources reports whether the application lacks what the system gives, which many programs only warn of.
func (p problem) isOfResources() bool { return readOnly <= p && p <= noThread }
