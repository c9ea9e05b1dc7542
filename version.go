package passenger

import (
	"regexp"
	"runtime/debug"
	"strings"
)

const modulePath = "github.com/gopassenger/passenger"

// unreleased is the version of a program that was not built from a release.
const unreleased = "0.1.0"

// Version is that of this library, without a v in front: the release that the program
// was built from, by its build information, or else the next one. It is not to be
// changed.
var Version = versionOf(debug.ReadBuildInfo())

// ServerSoftware is what applications are told of us.
var ServerSoftware = "gopassenger/" + Version

// released matches the version of a release, which may be a candidate, and pseudo one
// that the go command makes up for a commit.
var (
	released = regexp.MustCompile(`^v\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?$`)
	pseudo   = regexp.MustCompile(`[.-]\d{14}-[0-9a-f]{12}$`)
)

func versionOf(info *debug.BuildInfo, ok bool) string {
	if !ok {
		return unreleased
	}

	modules := append([]*debug.Module{&info.Main}, info.Deps...)
	for _, m := range modules {
		if m.Path == modulePath && m.Replace == nil && released.MatchString(m.Version) &&
			!pseudo.MatchString(m.Version) {
			return strings.TrimPrefix(m.Version, "v")
		}
	}

	return unreleased
}
