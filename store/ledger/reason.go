package ledger

import (
	"slices"
	"strings"
	"unicode"

	"github.com/annals-go/annals/store"
)

// Reason returns what the audit log keeps of a reason that somebody gives: one line without what nobody can see, in
// which each run of white space is one blank. It is empty if nothing of it shows. Joiners and variation
// selectors stay where they belong to what shows, as in 👩‍🚀. Whoever takes a reason keeps and judges what
// this returns, never what was given. The error is a [*store.TooLargeError]: the log would not keep it whole.
func Reason(given string) (string, error) {
	text := shown(given)
	if len(text) > MaxWhyBytes {
		return "", &store.TooLargeError{What: "reason", Size: len(text), Limit: MaxWhyBytes}
	}
	return text, nil
}

// shown is [Reason] without its bound.
func shown(text string) string {
	all := []rune(strings.ToValidUTF8(text, ""))
	for i, r := range all {
		if unicode.IsSpace(r) {
			all[i] = ' '
		}
	}
	all = slices.DeleteFunc(all, func(r rune) bool { return r != ' ' && !shows(r) && !attached(r) })
	kept := make([]rune, 0, len(all))
	for i, r := range all {
		if !attached(r) || follows(kept, r) && (!joins(r) || i+1 < len(all) && shows(all[i+1])) {
			kept = append(kept, r)
		}
	}
	return strings.Join(strings.Fields(string(kept)), " ")
}

// brailleBlank counts as a symbol, and has no dots.
const brailleBlank = '\u2800'

// shows reports whether a character can be seen by itself. Some that Unicode counts among the letters cannot, such as the
// Hangul filler.
func shows(r rune) bool {
	return r != ' ' && r != brailleBlank && unicode.IsPrint(r) && !selects(r) && !unicode.Is(unicode.Other_Default_Ignorable_Code_Point, r)
}

// attached reports whether a character says something of its neighbours alone.
func attached(r rune) bool { return joins(r) || selects(r) }

func joins(r rune) bool   { return unicode.Is(unicode.Join_Control, r) }
func selects(r rune) bool { return unicode.Is(unicode.Variation_Selector, r) }

// follows reports whether a character that is attached has something to be attached to.
func follows(kept []rune, r rune) bool {
	if len(kept) == 0 {
		return false
	}
	last := kept[len(kept)-1]
	return shows(last) || joins(r) && selects(last)
}
