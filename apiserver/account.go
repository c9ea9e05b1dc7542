package apiserver

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
)

// Level is what an account may do.
type Level uint8

// The levels.
const (
	// ReadOnly sees everything but secrets.
	ReadOnly Level = iota
	// Full does everything.
	Full
)

// Account is somebody with a password.
type Account struct {
	// Name is any but "api", which goes with API keys.
	Name string
	// Password is not empty.
	Password string
	Level    Level
}

func (a *Account) validate() error {
	switch {
	case a.Name == "":
		return errors.New("an account of the API has no name")
	case a.Name == apiName:
		return fmt.Errorf("the name %q is for API keys: give the account another one", apiName)
	case a.Password == "":
		return fmt.Errorf("the account %q of the API has no password", a.Name)
	case a.Level != ReadOnly && a.Level != Full:
		return fmt.Errorf("the level %d of the account %q does not exist", a.Level, a.Name)
	}
	return nil
}

func validateAccess(accounts []Account, anyone bool) error {
	var errs []error
	if anyone && len(accounts) > 0 {
		errs = append(errs, errors.New("there are accounts, so not anyone can be allowed: use either"))
	}
	names := map[string]bool{}
	for i := range accounts {
		errs = append(errs, accounts[i].validate())
		if name := accounts[i].Name; names[name] {
			errs = append(errs, fmt.Errorf("there are several accounts %q", name))
		}
		names[accounts[i].Name] = true
	}
	return errors.Join(errs...)
}

// account is an Account whose length does not show when it is compared.
type account struct {
	name, password [sha256.Size]byte
	level          Level
}

// newAccounts leaves out what is at fault, and all but the first of a name.
func newAccounts(accounts []Account) (usable []account) {
	names := map[string]bool{}
	for _, a := range accounts {
		if a.validate() == nil && !names[a.Name] {
			usable = append(usable, account{sha256.Sum256([]byte(a.Name)), sha256.Sum256([]byte(a.Password)), a.Level})
		}
		names[a.Name] = true
	}
	return usable
}

// findAccount takes the same time for any name and password of a length.
func findAccount(accounts []account, name, password string) (level Level, found bool) {
	n, p := sha256.Sum256([]byte(name)), sha256.Sum256([]byte(password))
	for i := range accounts {
		a := &accounts[i]
		same := subtle.ConstantTimeCompare(a.name[:], n[:]) & subtle.ConstantTimeCompare(a.password[:], p[:])
		if same == 1 {
			level, found = a.level, true
		}
	}
	return level, found
}
