package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/gopassenger/passenger/apiserver"
)

// App is an application of an instance.
type App struct {
	Name, Root string
	// Release is where the links led that Root may consist of when its processes
	// were started; empty if the instance does not tell.
	Release string
	// PIDs are its processes'.
	PIDs []int
}

// Apps returns the applications that the client's user may see, by name.
func Apps(ctx context.Context, client *apiserver.Client) ([]App, error) {
	s, err := client.Pool(ctx)
	if err != nil {
		return nil, err
	}

	// An agent of Phusion's has another form of the pool at the same path.
	if s.Schema == 0 {
		return appsOfOriginal(ctx, client)
	}

	apps := make([]App, 0, len(s.Groups))
	for i := range s.Groups {
		g := &s.Groups[i]

		app := App{Name: g.Name, Root: g.AppRoot, Release: g.ReleaseRoot}
		for j := range g.Processes {
			app.PIDs = append(app.PIDs, g.Processes[j].PID)
		}

		apps = append(apps, app)
	}

	return apps, nil
}

// AllApps returns the applications of Apps, and those that are configured and that the pool does not have, because they
// had no request for a while. Who may not see the configuration gets the first only.
func AllApps(ctx context.Context, client *apiserver.Client) ([]App, error) {
	apps, err := Apps(ctx, client)
	if err != nil {
		return nil, err
	}

	var settings struct {
		Apps []App `json:"app_logs"`
	}

	body, err := client.Get(ctx, "/config.json")
	if err != nil || json.Unmarshal(body, &settings) != nil {
		return apps, nil //nolint:nilerr // an agent of Phusion's has none, either
	}

	for _, a := range settings.Apps {
		if len(Named(apps, a.Name)) == 0 {
			apps = append(apps, App{Name: a.Name, Root: a.Root})
		}
	}

	slices.SortStableFunc(apps, func(a, b App) int { return strings.Compare(a.Name, b.Name) })

	return apps, nil
}

// appsOfOriginal reads what Phusion's own agents show as well.
func appsOfOriginal(ctx context.Context, client *apiserver.Client) ([]App, error) {
	body, err := client.Get(ctx, "/pool.xml")
	if err != nil {
		return nil, err
	}

	return parseApps(body)
}

func parseApps(body []byte) ([]App, error) {
	var info struct {
		Groups []struct {
			Name string `xml:"name"`
			Root string `xml:"app_root"`
			PIDs []int  `xml:"processes>process>pid"`
		} `xml:"supergroups>supergroup>group"`
	}
	d := xml.NewDecoder(bytes.NewReader(body))

	// It says ISO 8859-1, and is UTF-8.
	d.CharsetReader = func(_ string, r io.Reader) (io.Reader, error) { return r, nil }
	if err := d.Decode(&info); err != nil {
		return nil, fmt.Errorf("the admin API responds with something else than a pool: %w", err)
	}

	apps := make([]App, 0, len(info.Groups))
	for _, g := range info.Groups {
		apps = append(apps, App{Name: g.Name, Root: g.Root, PIDs: g.PIDs})
	}

	slices.SortFunc(apps, func(a, b App) int { return strings.Compare(a.Name, b.Name) })

	return apps, nil
}

// Names are the names of apps, each once.
func Names(apps []App) []string {
	names := make([]string, 0, len(apps))
	for _, a := range apps {
		names = append(names, a.Name)
	}

	slices.Sort(names)

	return slices.Compact(names)
}

// Named returns the apps with this name.
func Named(apps []App, name string) []App {
	return slices.DeleteFunc(slices.Clone(apps), func(a App) bool { return a.Name != name })
}
