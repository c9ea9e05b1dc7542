package spawner

import (
	"strconv"
	"strings"
)

// fill replaces the names in braces. Values are not looked at again.
func (d *diagnosis) fill(template string) string {
	if !strings.Contains(template, "{") {
		return template
	}

	l := d.fault.language
	if l == nil {
		l = &language{}
	}

	return strings.NewReplacer(
		"{subject}", d.fault.subject,
		"{error}", errorText(d.err),
		"{reason}", reason(d.err),
		"{root}", d.app.Root,
		"{remedy}", d.fault.remedy,
		"{language}", l.title,
		"{option}", l.option,
		"{command}", d.program(),
		"{startupfiles}", strings.Join(startupFiles(), ", "),
		"{status}", d.status,
		"{step}", string(d.step),
		"{timeout}", d.app.StartTimeout.String(),
		"{line}", d.line(),
		"{message}", d.message(),
		"{version}", protocolVersion,
		"{port}", strconv.Itoa(d.port),
		"{user}", d.user,
	).Replace(template)
}
