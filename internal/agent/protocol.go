package agent

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"reflect"
	"sync"

	"github.com/gopassenger/passenger"
)

// protocolNumber is raised when the watchdog and a core say something else to each
// other that does not show in the types: a command, or the meaning of a field. It is
// a variable so that a test can build a program of another number.
var protocolNumber = "1"

// coreProtocol identifies what this program's watchdogs and cores say to each other.
// After an upgrade, a watchdog has cores of another program: one whose types differ
// would take a missing option for its zero value, or ignore one that it does not know.
var coreProtocol = sync.OnceValue(func() string {
	h := sha256.New()

	seen := map[reflect.Type]bool{}
	for _, t := range []reflect.Type{
		reflect.TypeFor[coreConfig](), reflect.TypeFor[runningApp](), reflect.TypeFor[AppStart](),
	} {
		describe(h, t, seen)
	}

	return protocolNumber + "." + hex.EncodeToString(h.Sum(nil)[:8])
})

// describe writes what of a type is in its JSON, and each type once.
func describe(h hash.Hash, t reflect.Type, seen map[reflect.Type]bool) {
	fmt.Fprintln(h, t)
	if seen[t] {
		return
	}

	// A type that has itself in it would not end.
	seen[t] = true

	switch t.Kind() { //nolint:exhaustive // what others consist of is in their names
	case reflect.Pointer, reflect.Slice, reflect.Array:
		describe(h, t.Elem(), seen)
	case reflect.Map:
		describe(h, t.Key(), seen)
		describe(h, t.Elem(), seen)
	case reflect.Struct:
		for _, f := range reflect.VisibleFields(t) {
			if f.IsExported() && len(f.Index) == 1 {
				fmt.Fprintln(h, f.Name, f.Tag)
				describe(h, f.Type, seen)
			}
		}
	default:
	}
}

// checkProtocol makes sure that a watchdog and this core understand each other.
func checkProtocol(watchdogs string) error {
	if watchdogs == coreProtocol() {
		return nil
	}

	return fmt.Errorf("this program, gopassenger %s, cannot work below a watchdog of another version: restart the "+
		"server instead of reloading it "+
		"(a socket of systemd's, or a second server on the same socket, keeps clients from being refused)",
		passenger.Version)
}
