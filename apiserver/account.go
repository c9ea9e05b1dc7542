package apiserver

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"strings"
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

// Account is a user with a password.
type Account struct {
	// Name is any but "api", which goes with API keys.
	Name string
	// Password is not empty.
	Password string
	Level    Level
}

// validate is about the account number i. It says nothing of the password.
func (a *Account) validate(i int) error {
	fault := func(field, format string, args ...any) error {
		return fmt.Errorf("Accounts[%d].%s: "+format, append([]any{i, field}, args...)...)
	}

	switch {
	case a.Name == "":
		return fault("Name", "an account of the API has no name: give it one")
	case a.Name == apiName:
		return fault("Name", "the name %q is for API keys: give the account another one", apiName)
	case strings.Contains(a.Name, ":"):
		return fault("Name", "the name %q has a colon, which no client can send (RFC 7617): leave it out", a.Name)
	case a.Password == "":
		return fault("Password", "the account %q of the API has no password: give it one", a.Name)
	case a.Level != ReadOnly && a.Level != Full:
		return fault("Level", "the level %d of the account %q does not exist: use ReadOnly or Full", a.Level, a.Name)
	}

	return nil
}

func validateAccess(accounts []Account, anyone bool) error {
	var errs []error
	if anyone && len(accounts) > 0 {
		errs = append(errs, errors.New("AllowAnyone: there are accounts, so not anyone can be allowed: use either"))
	}

	names := map[string]bool{}
	for i := range accounts {
		errs = append(errs, accounts[i].validate(i))
		if name := accounts[i].Name; names[name] {
			errs = append(errs, fmt.Errorf("Accounts[%d].Name: there are several accounts %q: give each another name",
				i, name))
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

func newAccounts(accounts []Account) []account {
	hashed := make([]account, len(accounts))
	for i, a := range accounts {
		hashed[i] = account{sha256.Sum256([]byte(a.Name)), sha256.Sum256([]byte(a.Password)), a.Level}
	}

	return hashed
}

// findAccount takes the same time for any name and password of a length.
func findAccount(accounts []account, name, password string) (level Level, found bool) {
	n, p := sha256.Sum256([]byte(name)), sha256.Sum256([]byte(password))
	for i := range accounts {
		a := &accounts[i]
		same := subtle.ConstantTimeCompare(a.name[:], n[:]) & subtle.ConstantTimeCompare(a.password[:], p[:])
		// The others are compared after a match, too: the time would show its place.
		if same == 1 {
			level, found = a.level, true
		}
	}

	return level, found
}
