package agent

import (
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr/funcr"
	"github.com/stretchr/testify/require"

	"github.com/gopassenger/passenger/internal/test/boxed"
)

// Rights are given to a file, and descriptors are there again, without a new time of the file; and a file system that
// counts seconds has the same time for a file that is half written and for the whole.
func TestCertificateThatFailedIsLookedAtAgain(t *testing.T) {
	dir := t.TempDir()
	c := TLS{SSLCertificate: filepath.Join(dir, "cert.pem"), SSLKey: filepath.Join(dir, "key.pem")}
	boxed.Certificate(t, c.SSLCertificate, c.SSLKey, "first")

	var lines []string
	log := funcr.New(func(_, line string) { lines = append(lines, line) }, funcr.Options{})
	cert, err := newCertificate(&c, log)
	require.NoError(t, err)

	inUse := func() string {
		got, err := cert.get(nil)
		require.NoError(t, err)
		return got.Leaf.Subject.CommonName
	}
	// As it is at the next look.
	age := func() { cert.checked = time.Now().Add(-certificateAge) }
	replaced := time.Now().Add(time.Hour)
	require.Equal(t, "first", inUse())

	boxed.Certificate(t, c.SSLCertificate, c.SSLKey, "second")
	whole, err := os.ReadFile(c.SSLKey)
	require.NoError(t, err)

	for range 2 {
		require.NoError(t, os.WriteFile(c.SSLKey, whole[:len(whole)/2], 0o600))

		for _, file := range []string{c.SSLCertificate, c.SSLKey} {
			require.NoError(t, os.Chtimes(file, replaced, replaced))
		}

		age()
		require.Equal(t, "first", inUse())
	}

	require.Len(t, lines, 1, "the same is not told again")

	// Who asks learns why the old one is in use.
	cert.reload()
	require.Len(t, lines, 2)

	require.NoError(t, os.WriteFile(c.SSLKey, whole, 0o600))
	require.NoError(t, os.Chtimes(c.SSLKey, replaced, replaced))
	age()
	require.Equal(t, "second", inUse())
	require.Contains(t, lines[2], "a new TLS certificate is in use")

	// Nor is it read while nothing has changed.
	age()
	cert.reload()
	require.Len(t, lines, 3)
}

func TestKeysAndCertificatesThatAreNoPairHaveAdvice(t *testing.T) {
	t.Parallel()

	read := func(name string) (cert, key string) {
		dir := t.TempDir()
		certFile, keyFile := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
		boxed.Certificate(t, certFile, keyFile, name)
		certText, err := os.ReadFile(certFile)
		require.NoError(t, err)
		keyText, err := os.ReadFile(keyFile)
		require.NoError(t, err)

		return string(certText), string(keyText)
	}
	block := func(kind string, headers map[string]string) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Headers: headers, Bytes: []byte("bytes")}))
	}
	cert, key := read("server")
	ca, other := read("authority")

	for name, test := range map[string]struct{ cert, key, want string }{
		"chain":             {cert + ca, key, ""},
		"lines of Windows":  {strings.ReplaceAll(cert, "\n", "\r\n"), strings.ReplaceAll(key, "\n", "\r\n"), ""},
		"parameters":        {cert, block("EC PARAMETERS", nil) + key, ""},
		"one file":          {cert + key, cert + key, ""},
		"chain in front":    {ca + cert, key, "must be the first one of its file, before its chain"},
		"two keys":          {cert, other + key, "the certificate's key must be the first one"},
		"another key":       {cert, other, "private key does not match public key"},
		"passphrase":        {cert, block("ENCRYPTED PRIVATE KEY", nil), "the key has a passphrase"},
		"passphrase, RSA":   {cert, block("RSA PRIVATE KEY", map[string]string{"Proc-Type": "4,ENCRYPTED"}), "passphrase"},
		"no key":            {cert, "", "failed to find any PEM data in key input"},
		"one for the other": {key, cert, "PEM inputs may have been switched"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			_, err := keyPair([]byte(test.cert), []byte(test.key))
			if test.want == "" {
				require.NoError(t, err)
				return
			}

			require.ErrorContains(t, err, test.want)
		})
	}
}
