//go:build linux && !amd64 && !arm64

package confine

const (
	architecture = 0
	foreignFrom  = 0
)

var deniedHere []uint32
