package spawner

import (
	"crypto/rand"
	"encoding/hex"
	"strconv"
	"time"
)

const alphanumeric = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

// 24 characters of 62 carry 142 bits.
const passwordLength = 24

// randomAlphanumeric returns n characters, all equally likely.
func randomAlphanumeric(n int) string {
	const fair = 256 - 256%len(alphanumeric)
	out := make([]byte, 0, n)

	pool := make([]byte, 2*n)
	for {
		_, _ = rand.Read(pool) // never fails
		for _, b := range pool {
			if int(b) < fair {
				out = append(out, alphanumeric[int(b)%len(alphanumeric)])
				if len(out) == n {
					return string(out)
				}
			}
		}
	}
}

func newGUPID(now time.Time) string {
	return strconv.FormatInt(now.Unix()/60, 16) + "-" + randomAlphanumeric(10)
}

func newErrorID() string {
	var b [4]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}
