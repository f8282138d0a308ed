package console

import (
	"fmt"
	"strings"
)

// Progress is a line on the terminal that is written again and again. Where no
// person watches it is nothing.
type Progress struct {
	console *Console
	drawn   bool
}

// Progress returns a line for Err that is not drawn yet.
func (c *Console) Progress() *Progress { return &Progress{console: c} }

// Show replaces the line.
func (p *Progress) Show(format string, args ...any) {
	if !p.console.Interactive() {
		return
	}
	fmt.Fprintf(p.console.Err(), "\r\x1b[K"+format, args...)
	p.drawn = true
}

// End takes the line away.
func (p *Progress) End() {
	if p.drawn {
		fmt.Fprint(p.console.Err(), "\r\x1b[K")
		p.drawn = false
	}
}

const barWidth = 30

// Bar draws a share of 0 to 1.
func Bar(share float64) string {
	full := int(max(0, min(1, share)) * barWidth)
	return strings.Repeat("█", full) + strings.Repeat("░", barWidth-full)
}
