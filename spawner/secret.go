package spawner

import (
	"crypto/rand"
	"encoding/hex"
	"strconv"
	"time"

	"github.com/gopassenger/passenger/internal/randtext"
)

// 24 characters of 62 carry 142 bits.
const passwordLength = 24

func newGUPID(now time.Time) string {
	return strconv.FormatInt(now.Unix()/60, 16) + "-" + randtext.Alphanumeric(10)
}

func newErrorID() string {
	var b [4]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}
