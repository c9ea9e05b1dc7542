package apiserver

import (
	"net/http"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
)

// The version of Passenger's API that this is.
const (
	apiVersion      = "0.3"
	apiVersionMajor = 0
	apiVersionMinor = 3
)

func (c *call) ping() { c.ok() }

func (c *call) info() {
	c.json(http.StatusOK, struct {
		PID        int    `json:"pid"`
		Program    string `json:"program_name"`
		Version    string `json:"program_version"`
		API        string `json:"api_version"`
		Major      int    `json:"api_version_major"`
		Minor      int    `json:"api_version_minor"`
		Enterprise bool   `json:"passenger_enterprise"`
	}{os.Getpid(), c.cfg.Program, c.cfg.Version, apiVersion, apiVersionMajor, apiVersionMinor, false})
}

// maxBacktraces bounds the memory for them; the last ones are missing then.
const maxBacktraces = 64 << 20

func (c *call) backtraces() {
	for size := 1 << 20; ; size *= 2 {
		b := make([]byte, size)
		if n := runtime.Stack(b, true); n < size || size >= maxBacktraces {
			c.write(http.StatusOK, textType, b[:n])
			return
		}
	}
}

func (c *call) freeMemory() {
	if c.cfg.FreeMemory != nil {
		c.cfg.FreeMemory()
	} else {
		debug.FreeOSMemory()
	}

	c.ok()
}

func (c *call) shutdown() {
	if c.cfg.Shutdown == nil {
		c.missing("be shut down by its API")
		return
	}

	c.w.Header().Set("Connection", "close")
	c.ok()
	_ = http.NewResponseController(c.w).Flush() // the response is written at the latest when the call ends
	c.cfg.Shutdown()
}

func (c *call) showRequests() {
	if c.cfg.Requests == nil {
		c.json(http.StatusOK, map[string]int{"threads": 0})
		return
	}

	c.json(http.StatusOK, c.cfg.Requests())
}

// clientPath is for the routes of what clientID knows.
const clientPath = "/server/{client}.json"

// clientID is the id of a request in a path.
func clientID(path string) (id string, ok bool) {
	const maxLength = 200

	id, ok = strings.CutPrefix(path, "/server/")
	if !ok {
		return "", false
	}

	id, ok = strings.CutSuffix(id, ".json")
	if !ok || id == "" || len(id) > maxLength || strings.ContainsFunc(id, notInClientID) {
		return "", false
	}

	return id, true
}

func notInClientID(r rune) bool {
	isLetter := 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z'
	isDigit := '0' <= r && r <= '9'

	return !isLetter && !isDigit && !strings.ContainsRune("._~:/=+-", r)
}

func (c *call) disconnectClient() {
	if c.cfg.DisconnectClient == nil {
		c.missing("disconnect clients")
		return
	}

	id, _ := clientID(c.r.URL.Path)
	if id == "" || !c.cfg.DisconnectClient(id) {
		c.fail(http.StatusBadRequest, "", "there is no request of that id")
		return
	}

	c.ok()
}
