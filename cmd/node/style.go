package node

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode"

	"github.com/dustin/go-humanize"
	"golang.org/x/term"
)

// isTerminal reports whether w is a terminal.
func isTerminal(w any) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// style is how text is painted on one stream: with colours or without.
type style bool

// style returns that of w: colours on a terminal only, unless the user says
// otherwise by --no-color, NO_COLOR, TERM=dumb or CLICOLOR_FORCE.
func (s *Session) style(w io.Writer) style {
	env := s.streams.Env
	switch {
	case s.flags.noColor, env("NO_COLOR") != "":
		return false
	case env("CLICOLOR_FORCE") != "" && env("CLICOLOR_FORCE") != "0":
		return true
	default:
		return style(isTerminal(w) && env("TERM") != "dumb")
	}
}

func (y style) paint(code int, text string) string {
	if !y {
		return text
	}
	return fmt.Sprintf("\x1b[%dm%s\x1b[0m", code, text)
}

func (y style) strong(text string) string { return y.paint(1, text) }
func (y style) faint(text string) string  { return y.paint(2, text) }
func (y style) bad(text string) string    { return y.paint(31, text) }
func (y style) good(text string) string   { return y.paint(32, text) }
func (y style) warn(text string) string   { return y.paint(33, text) }

// printable replaces what would move the cursor or turn the text around:
// events and ids may hold anything.
func printable(text string) string {
	bad := func(r rune) bool {
		return unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || r == '\u2028' || r == '\u2029'
	}
	if strings.IndexFunc(text, bad) < 0 {
		return text
	}
	var b strings.Builder
	for _, r := range text {
		if bad(r) {
			fmt.Fprintf(&b, `\u%04x`, r)
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

// when prints a time for people: how long ago on a terminal, else exactly.
func (s *Session) when(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	if isTerminal(s.Out()) {
		return humanize.Time(t)
	}
	return t.UTC().Format(time.RFC3339Nano)
}

// printableLines is printable for text of several lines.
func printableLines(text string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		lines[i] = printable(line)
	}
	return strings.Join(lines, "\n")
}

// columns returns the width of the terminal that Out is, at least 60; 0 if it
// is none.
func (s *Session) columns() int {
	f, ok := s.Out().(*os.File)
	if !ok {
		return 0
	}
	width, _, err := term.GetSize(int(f.Fd()))
	if err != nil {
		return 0
	}
	return max(width, 60)
}
