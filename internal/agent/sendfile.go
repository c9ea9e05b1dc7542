package agent

import "fmt"

// Who sends the files that an application names by X-Sendfile and X-Accel-Redirect.
const (
	sendfileAuto  = "auto"
	sendfileSelf  = "self"
	sendfileProxy = "proxy"
)

// checkSendfile makes sure that who sends files is said once.
func (c *Config) checkSendfile() error {
	// Under Flying the one may be the server's, and the others the application's, which
	// count more.
	if c.Sendfile != sendfileProxy || c.Flying != nil {
		return nil
	}

	if len(c.SendfileRoots) > 0 || len(c.AccelRedirect) > 0 {
		return fmt.Errorf("sendfile is %s, so that the server in front sends the files of sendfile_roots and "+
			"accel_redirect: "+
			"leave these out, or set sendfile to %s", sendfileProxy, sendfileSelf)
	}

	return nil
}

// sendfileToProxy reports whether X-Sendfile and X-Accel-Redirect are for the server in
// front. Flying has one, which sends what Flying does not.
func (c *Config) sendfileToProxy() bool {
	if len(c.SendfileRoots) > 0 || len(c.AccelRedirect) > 0 {
		return false
	}

	return c.Sendfile == sendfileProxy || c.Sendfile != sendfileSelf && c.Flying != nil
}
