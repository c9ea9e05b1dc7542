package passenger

import (
	"runtime/debug"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestVersionIsThatOfTheReleaseInTheBuildInformation(t *testing.T) {
	ours := func(version string) debug.Module { return debug.Module{Path: modulePath, Version: version} }
	theirs := debug.Module{Path: "example.com/shop", Version: "v3.0.0"}
	dependency := ours("v1.4.2")
	replaced := ours("v1.4.2")

	replaced.Replace = &debug.Module{Path: "../passenger"}
	for name, test := range map[string]struct {
		info debug.BuildInfo
		ok   bool
		want string
	}{
		"no build information": {debug.BuildInfo{Main: ours("v1.2.3")}, false, unreleased},
		"our binary":           {debug.BuildInfo{Main: ours("v1.2.3")}, true, "1.2.3"},
		"a candidate":          {debug.BuildInfo{Main: ours("v1.2.3-rc.1")}, true, "1.2.3-rc.1"},
		"a checkout":           {debug.BuildInfo{Main: ours("(devel)")}, true, unreleased},
		"a commit":             {debug.BuildInfo{Main: ours("v0.0.0-20261129103115-cc818950abcd")}, true, unreleased},
		"a commit with changes": {
			debug.BuildInfo{Main: ours("v0.1.1-0.20261129103115-cc818950abcd+dirty")},
			true,
			unreleased,
		},
		"two numbers":        {debug.BuildInfo{Main: ours("v1.2")}, true, unreleased},
		"a letter in one":    {debug.BuildInfo{Main: ours("v1.2.3x")}, true, unreleased},
		"an empty number":    {debug.BuildInfo{Main: ours("v1..3")}, true, unreleased},
		"no v":               {debug.BuildInfo{Main: ours("1.2.3")}, true, unreleased},
		"an empty candidate": {debug.BuildInfo{Main: ours("v1.2.3-")}, true, unreleased},
		"a candidate of a commit's length": {
			debug.BuildInfo{Main: ours("v1.2.3-rc.20261129103115.cc818950abcd")},
			true,
			"1.2.3-rc.20261129103115.cc818950abcd",
		},
		"a dependency": {debug.BuildInfo{
			Main: theirs,
			Deps: []*debug.Module{&theirs, &dependency},
		}, true, "1.4.2"},
		"a replaced dependency": {debug.BuildInfo{Main: theirs, Deps: []*debug.Module{&replaced}}, true, unreleased},
	} {
		t.Run(name, func(t *testing.T) { require.Equal(t, test.want, versionOf(&test.info, test.ok)) })
	}
}
