package dashboard

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"strconv"

	"github.com/gopassenger/passenger"
	"github.com/gopassenger/passenger/apiserver"
	"github.com/gopassenger/passenger/status"
)

// API is the Source behind the admin API of a core, with the rights of its client. What these do not include is left
// out, except the pool.
type API struct{ Client *apiserver.Client }

func (a API) get(ctx context.Context, path string, value any) error {
	body, err := a.Client.Get(ctx, path)
	if err != nil {
		return err
	}

	if err := json.Unmarshal(body, value); err != nil {
		return fmt.Errorf("cannot read %s of the admin API: %w", path, err)
	}

	return nil
}

// known turns the error of what this client may not see, or this core does not have, into none.
func known(err error) error {
	if e, ok := errors.AsType[*apiserver.StatusError](err); ok && e.Status == http.StatusNotFound {
		return nil
	}

	if _, ok := errors.AsType[*apiserver.UnauthorizedError](err); ok {
		return nil
	}

	return err
}

// Pool implements Source.
func (a API) Pool(ctx context.Context) (*Pool, error) {
	pool := &Pool{}
	err := a.get(ctx, "/pool.json?form=snapshot", pool)

	// The owner of applications has no rights until there are some.
	if e, ok := errors.AsType[*apiserver.UnauthorizedError](err); ok && e.PoolEmpty {
		return pool, nil
	}

	return pool, err
}

// Figures implements Source.
func (a API) Figures(ctx context.Context, app string, points int) ([]status.Figures, error) {
	var shown struct{ Figures []status.Figures }
	query := url.Values{"app": {app}, "points": {strconv.Itoa(points)}}
	err := a.get(ctx, "/figures.json?"+query.Encode(), &shown)

	return shown.Figures, known(err)
}

// Requests implements Source.
func (a API) Requests(ctx context.Context) (requests []Request, err error) {
	var body json.RawMessage
	if err := a.get(ctx, "/server.json", &body); err != nil {
		return nil, known(err)
	}

	// The server of one application shows that one, and others a list.
	if !bytes.HasPrefix(body, []byte("[")) {
		body = fmt.Appendf(nil, "[%s]", body)
	}

	var apps []struct {
		AppName  string
		Requests []Request
	}
	if err := json.Unmarshal(body, &apps); err != nil {
		return nil, fmt.Errorf("cannot read the requests that the admin API shows: %w", err)
	}

	for i := range apps {
		for _, r := range apps[i].Requests {
			r.App = apps[i].AppName
			requests = append(requests, r)
		}
	}

	return requests, nil
}

// Failures implements Source.
func (a API) Failures(ctx context.Context) (failures []passenger.FailedSpawn, err error) {
	err = a.get(ctx, "/pool/errors.json", &failures)
	return failures, known(err)
}

// Incidents implements Source.
func (a API) Incidents(ctx context.Context) ([]Incident, error) {
	var shown struct{ Incidents []Incident }
	err := a.get(ctx, "/incidents.json", &shown)

	return shown.Incidents, known(err)
}

// Incident implements Source.
func (a API) Incident(ctx context.Context, id string) (incident json.RawMessage, err error) {
	err = a.get(ctx, "/incidents/"+url.PathEscape(id)+".json", &incident)
	if err != nil && known(err) == nil { // a core without incidents does not have the path
		err = fs.ErrNotExist
	}

	return incident, err
}

// Restart implements Source.
func (a API) Restart(ctx context.Context, app string) error {
	// Without waiting: what comes of it is on the page.
	found, err := a.Client.Restart(ctx, app, apiserver.RestartOptions{})
	if err == nil && !found {
		err = fs.ErrNotExist
	}

	return err
}

// Detach implements Source.
func (a API) Detach(ctx context.Context, pid int) error {
	found, err := a.Client.DetachProcess(ctx, pid)
	if err == nil && !found {
		err = fs.ErrNotExist
	}

	return err
}
