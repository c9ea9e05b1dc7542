// Package admin is what the operator's tools find out and do: by the admin APIs
// of instances, and by looking at this host.
package admin

import (
	"errors"
	"io/fs"

	"github.com/gopassenger/passenger/apiserver"
	"github.com/gopassenger/passenger/instancedir"
)

// Product is what messages call it.
const Product = "Passenger"

// Client returns a client of the admin API of an instance's agent, which is named
// by its socket, as instancedir.CoreAPI. It uses the account's password, if that
// may be read; else the agent goes by the user of this program.
func Client(i *instancedir.Instance, socket, account string) (*apiserver.Client, error) {
	read := i.FullPassword
	if account == instancedir.ReadOnlyAccount {
		read = i.ReadOnlyPassword
	}

	password, err := read()
	switch {
	case errors.Is(err, fs.ErrPermission), errors.Is(err, fs.ErrNotExist), err == nil && password == "":
		return &apiserver.Client{Socket: i.Socket(socket)}, nil
	case err != nil:
		return nil, err
	}

	return &apiserver.Client{Socket: i.Socket(socket), Name: account, Password: password}, nil
}
