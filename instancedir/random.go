package instancedir

import "crypto/rand"

const alphanumerics = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// randomName returns n letters and digits, each as likely as the others, that
// nobody can guess.
func randomName(n int) string {
	const fair = 256 - 256%len(alphanumerics)
	name := make([]byte, 0, n)

	var random [64]byte
	for len(name) < n {
		_, _ = rand.Read(random[:]) // never fails
		for _, b := range random {
			if int(b) < fair && len(name) < n {
				name = append(name, alphanumerics[int(b)%len(alphanumerics)])
			}
		}
	}

	return string(name)
}

// randomID has the form of Passenger's instance_id.
func randomID() string {
	return randomName(6) + "-" + randomName(6) + "-" + randomName(6)
}
