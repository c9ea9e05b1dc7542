package passenger

import "fmt"

// processState says which of its group's lists a process is in.
type processState uint8

const (
	// stateNew: attached to no list yet.
	stateNew processState = iota
	// stateEnabled: takes requests.
	stateEnabled
	// stateDisabling: takes none, but has sessions open.
	stateDisabling
	// stateDisabled: takes none and has none; does out-of-band work, or was
	// disabled by an administrator.
	stateDisabled
	// stateDetached: not part of the pool any more; ends when its last session
	// does.
	stateDetached
)

func (s processState) String() string {
	switch s {
	case stateNew:
		return "new"
	case stateEnabled:
		return "enabled"
	case stateDisabling:
		return "disabling"
	case stateDisabled:
		return "disabled"
	case stateDetached:
		return "detached"
	}

	return fmt.Sprintf("processState(%d)", uint8(s))
}

// processMoves are the moves that a process may make.
var processMoves = map[processState][]processState{
	stateNew:       {stateEnabled},
	stateEnabled:   {stateDisabling, stateDisabled, stateDetached},
	stateDisabling: {stateEnabled, stateDisabled, stateDetached},
	stateDisabled:  {stateEnabled, stateDetached},
	stateDetached:  {},
}

// usesCapacity: the process counts against the limits.
func (s processState) usesCapacity() bool {
	switch s {
	case stateEnabled, stateDisabling, stateDisabled:
		return true
	case stateNew, stateDetached:
		return false
	}

	return false
}
