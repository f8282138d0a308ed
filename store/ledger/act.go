package ledger

import (
	"fmt"
	"hash/fnv"
	"strings"
	"time"
	"unicode"

	"github.com/annals-go/annals/store"
)

// AuditType is the aggregate type of the streams of acts. The id of each is its
// month, [Month], and its share of that: 2026-11_5f. Older ones have whole months: 2026-11.
const AuditType = "annals-audit"

// The outcomes of an act.
const (
	// Begun says that it is about to be done. If nothing follows, whoever was to do it has
	// ended before it could say what came of it.
	Begun = "begun"
	// Done says that it was done.
	Done = "done"
	// Failed begins the outcome of what failed; the error's code follows, never its text, which may hold anything.
	Failed = "failed: "
	// Unknown begins that of what may have taken effect, in whole or in part.
	Unknown = "unknown: "
)

// Unverified begins the name of somebody whose word is all that there is for it. It stands in
// front, so that nothing that is cut off a long name makes it look like a better one.
const Unverified = "unverified:"

// Claimed is how a name is written down that somebody gives of itself; nothing if it gives none.
func Claimed(name string) string {
	if name == "" {
		return ""
	}
	return Unverified + name
}

// Act is something that an operator has the system do. It is kept for ever: nothing in it
// may be what somebody has a right to have forgotten.
type Act struct {
	// ID is common to what is written down of one act, at most [store.MaxCommandIDBytes]-8
	// bytes.
	ID string `json:"id"`
	// Action is what is done, such as "dlq.skip"; What is to what, such as "accounts/17".
	Action string `json:"action"`
	What   string `json:"what,omitempty"`
	// By is who wants it, as authenticated; where nobody is, what was said, behind [Unverified]. Why
	// is the reason, if one was given, as [Reason] returns it.
	By  string `json:"by,omitempty"`
	Why string `json:"why,omitempty"`
	// Outcome is one of the constants, the last two with a code.
	Outcome string `json:"outcome"`
	// At is when, in UTC; Node is where.
	At   time.Time `json:"at"`
	Node string    `json:"node,omitempty"`
}

// maxText bounds each text of an act, in bytes; what is longer is cut.
const maxText = 1024

// MaxWhyBytes bounds the reason of an act. Whoever takes one from somebody refuses what is longer before
// anything is done: a reason that was cut may say something else.
const MaxWhyBytes = maxText

// Month is what the ids of the streams of the acts of a time begin with.
func Month(t time.Time) string { return t.UTC().Format("2006-01") }

// shares is how many streams a month has. It is permanent.
const shares = 256

// auditStream is the stream of an act: whoever records it again finds it there.
func auditStream(a Act) store.StreamID {
	h := fnv.New32a()
	_, _ = h.Write([]byte(a.ID)) // never fails
	return shareOf(a.At, h.Sum32()%shares)
}

func shareOf(month time.Time, share uint32) store.StreamID {
	return store.StreamID{Type: AuditType, ID: fmt.Sprintf("%s_%02x", Month(month), share)}
}

// auditStreams are all streams that may have acts of a month.
func auditStreams(month time.Time) []store.StreamID {
	all := []store.StreamID{{Type: AuditType, ID: Month(month)}}
	for share := range uint32(shares) {
		all = append(all, shareOf(month, share))
	}
	return all
}

// bounded returns the act with texts that fit, and a time as it is stored.
func (a Act) bounded() Act {
	for _, text := range []*string{&a.Action, &a.What, &a.By, &a.Outcome} {
		*text = cut(printable(*text))
	}
	a.Why = cut(shown(a.Why))
	a.At = a.At.UTC().Truncate(time.Microsecond)
	return a
}

// printable returns text without what a line cannot show, and the log would refuse. Each run of white space
// becomes one blank: the words of several lines do not join.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, strings.Join(strings.Fields(strings.ToValidUTF8(text, "")), " "))
}

// cut returns text, or as much of it as fits, without half a character.
func cut(text string) string {
	if len(text) <= maxText {
		return text
	}
	end := maxText
	for end > 0 && text[end]&0xc0 == 0x80 {
		end--
	}
	return text[:end]
}

// entry is what the streams of acts hold.
type entry interface{ entry() }

func (Act) entry() {}

// entries have permanent names.
var entries = store.NewTypes(map[string]entry{"acted": Act{}})
