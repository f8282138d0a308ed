package node

import "fmt"

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
