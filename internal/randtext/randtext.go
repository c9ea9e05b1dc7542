// Package randtext makes texts that cannot be guessed, of the characters that the original's
// passwords, names and IDs have. Where the characters do not matter, crypto/rand.Text does.
package randtext

import "crypto/rand"

const alphanumerics = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// Alphanumeric returns n letters and digits, each as likely as the others: 6 bits each, nearly.
func Alphanumeric(n int) string {
	// Bytes from here on would make the first characters likelier.
	const fair = 256 - 256%len(alphanumerics)
	text := make([]byte, 0, n)

	var random [64]byte
	for len(text) < n {
		_, _ = rand.Read(random[:]) // never fails

		for _, b := range random {
			if int(b) < fair && len(text) < n {
				text = append(text, alphanumerics[int(b)%len(alphanumerics)])
			}
		}
	}

	return string(text)
}
