package console

import (
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"

	"github.com/dustin/go-humanize"
)

// Style is how text is painted on one stream: with colours or without.
type Style bool

// Style returns that of w: colours on a terminal only, unless the user says
// otherwise by --no-color, NO_COLOR, TERM=dumb or CLICOLOR_FORCE.
func (c *Console) Style(w io.Writer) Style {
	env := c.Env
	switch {
	case c.flags.noColor, env("NO_COLOR") != "":
		return false
	case env("CLICOLOR_FORCE") != "" && env("CLICOLOR_FORCE") != "0":
		return true
	default:
		return Style(IsTerminal(w) && env("TERM") != "dumb")
	}
}

func (y Style) paint(code int, text string) string {
	if !y {
		return text
	}
	return fmt.Sprintf("\x1b[%dm%s\x1b[0m", code, text)
}

// Strong is text that leads the eye.
func (y Style) Strong(text string) string { return y.paint(1, text) }

// Faint is text that stands back.
func (y Style) Faint(text string) string { return y.paint(2, text) }

// Bad is what is wrong: red.
func (y Style) Bad(text string) string { return y.paint(31, text) }

// Good is what is as it should be: green.
func (y Style) Good(text string) string { return y.paint(32, text) }

// Warn is what somebody should know of: yellow.
func (y Style) Warn(text string) string { return y.paint(33, text) }

// Printable replaces what would move the cursor or turn the text around: what
// comes from elsewhere may hold anything.
func Printable(text string) string {
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

// When is a time for people: how long ago on a terminal, else exactly.
func (c *Console) When(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	if IsTerminal(c.Out()) {
		return humanize.Time(t)
	}
	return t.UTC().Format(time.RFC3339Nano)
}

// printableLines is [Printable] for text of several lines.
func printableLines(text string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		lines[i] = Printable(line)
	}
	return strings.Join(lines, "\n")
}
