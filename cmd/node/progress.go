package node

import (
	"fmt"
	"strings"
)

// progress is a line on the terminal that is written again and again. Where no
// person watches it is nothing.
type progress struct {
	session *Session
	drawn   bool
}

func (s *Session) progress() *progress { return &progress{session: s} }

// show replaces the line.
func (p *progress) show(format string, args ...any) {
	if !p.session.Interactive() {
		return
	}
	fmt.Fprintf(p.session.Err(), "\r\x1b[K"+format, args...)
	p.drawn = true
}

// end takes the line away.
func (p *progress) end() {
	if p.drawn {
		fmt.Fprint(p.session.Err(), "\r\x1b[K")
		p.drawn = false
	}
}

const barWidth = 30

// bar draws a share of 0 to 1.
func bar(share float64) string {
	full := int(max(0, min(1, share)) * barWidth)
	return strings.Repeat("█", full) + strings.Repeat("░", barWidth-full)
}
