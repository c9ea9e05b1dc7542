package agent

import (
	"crypto/tls"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-logr/logr"

	"github.com/gopassenger/passenger/internal/ownfile"
)

// TLS says how the server is reached by HTTPS.
type TLS struct {
	SSL            bool
	SSLCertificate string
	SSLKey         string
	// SSLPort is for HTTPS beside HTTP; zero means that HTTPS replaces HTTP.
	SSLPort int
}

func (c *TLS) validate() (errs []error) {
	if !c.SSL {
		if c.SSLPort != 0 {
			errs = append(errs, fmt.Errorf("ssl_port is %d, but ssl is off: turn it on with --ssl", c.SSLPort))
		}

		return errs
	}

	if c.SSLCertificate == "" || c.SSLKey == "" {
		return append(errs, errors.New("ssl is on: it needs both --ssl-certificate and --ssl-certificate-key"))
	}

	if _, err := newCertificate(c, logr.Discard()); err != nil {
		errs = append(errs, err)
	}

	return errs
}

// certificateAge is after how long it is looked whether the files of a
// certificate have changed.
const certificateAge = 10 * time.Second

// maxCertificate bounds the size of a file with a certificate and its chain, or a key.
const maxCertificate = 1 << 20

// certificate is what the files have. It is read again when they were replaced;
// as long as what is there is not good, the old one counts.
type certificate struct {
	certFile, keyFile string
	log               logr.Logger

	mu      sync.Mutex
	current *tls.Certificate
	// made are the times of the files that were read last, also if they were not
	// good.
	made    [2]time.Time
	checked time.Time
	// failure is the text of the error of the last look; empty means that there was none.
	failure string
}

func newCertificate(c *TLS, log logr.Logger) (*certificate, error) {
	t := &certificate{certFile: c.SSLCertificate, keyFile: c.SSLKey, log: log}
	made, err := t.times()
	if err == nil {
		err = t.load(made)
	}

	if err != nil {
		return nil, fmt.Errorf("cannot use the TLS certificate: %w", err)
	}

	return t, nil
}

func (t *certificate) times() (made [2]time.Time, err error) {
	for i, file := range []string{t.certFile, t.keyFile} {
		info, err := os.Stat(file)
		if err != nil {
			return made, err
		}

		made[i] = info.ModTime()
	}

	return made, nil
}

func (t *certificate) load(made [2]time.Time) error {
	// With the times from before: a file that is replaced while it is read has another time at the next look.
	t.made, t.checked = made, time.Now()
	var pair tls.Certificate
	cert, err := ownfile.ReadRegular(t.certFile, maxCertificate)
	if err == nil {
		var key []byte
		if key, err = ownfile.ReadRegular(t.keyFile, maxCertificate); err == nil {
			pair, err = keyPair(cert, key)
		}
	}

	if err != nil {
		return fmt.Errorf("%s, %s: %w", t.certFile, t.keyFile, err)
	}

	t.current = &pair

	return nil
}

// keyPair is [tls.X509KeyPair], with advice about what operators often have.
func keyPair(cert, key []byte) (tls.Certificate, error) {
	pair, err := tls.X509KeyPair(cert, key)
	if err == nil {
		return pair, nil
	}

	certs, keys := pemTypes(cert), pemTypes(key)
	switch {
	case slices.Contains(keys, encryptedKey):
		err = fmt.Errorf("%w: the key has a passphrase: write it without, by openssl pkey", err)
	case len(certs) > 1 && strings.Contains(err.Error(), "match"):
		err = fmt.Errorf("%w: the server's own certificate must be the first one of its file, before its chain, and "+
			"the key the one of it", err)
	case len(keys) > 1 && strings.Contains(err.Error(), "match"):
		err = fmt.Errorf("%w: the certificate's key must be the first one of its file", err)
	}

	return tls.Certificate{}, err
}

const encryptedKey = "ENCRYPTED PRIVATE KEY"

// pemTypes returns the types of the certificates and keys in a file.
func pemTypes(text []byte) (types []string) {
	for {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			return types
		}

		switch {
		case strings.Contains(block.Headers["Proc-Type"], "ENCRYPTED"):
			types = append(types, encryptedKey)
		case block.Type == "CERTIFICATE", strings.HasSuffix(block.Type, "PRIVATE KEY"):
			types = append(types, block.Type)
		}
	}
}

// get is a tls.Config's GetCertificate.
func (t *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if time.Since(t.checked) >= certificateAge {
		t.refresh(false)
	}

	return t.current, nil
}

// reload looks at the files now, since the operator has asked.
func (t *certificate) reload() {
	if t == nil {
		return
	}

	t.mu.Lock()
	defer t.mu.Unlock()
	t.refresh(true)
}

// refresh reads the files if they have changed, or could not be used at the last look: rights that are given to a file
// do not change its time. The log tells of a failure that is not that of the last look, or that was asked for.
func (t *certificate) refresh(asked bool) {
	t.checked = time.Now()
	made, err := t.times()
	if err == nil {
		if made == t.made && t.failure == "" {
			return
		}

		err = t.load(made)
	}

	if err == nil {
		t.failure = ""
		t.log.Info("a new TLS certificate is in use", "file", t.certFile)
		return
	}

	if text := err.Error(); asked || text != t.failure {
		t.failure = text
		t.log.Error(err, "cannot use the new TLS certificate: the old one stays in use")
	}
}

func (t *certificate) config() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: t.get}
}
