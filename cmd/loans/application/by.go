package application

import (
	"time"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// By says who did something, and when. Both may be left out, as a person who
// types a command will: the log keeps its own time beside.
type By struct {
	// Employee did it: at most [MaxNameBytes] bytes of printable text. Empty
	// where the bank's books do not say.
	Employee string `json:"employee,omitempty"`
	// Time is when it was done, in the years 1 to 9999. The zero time means that
	// nobody said, and is left out: JSON does that for omitzero, MessagePack for
	// omitempty.
	Time time.Time `json:"time,omitzero" msgpack:"time,omitempty"`
}

// Who returns the employee, "" if nobody said.
func (b By) Who() string { return b.Employee }

// When returns when it was done, in UTC, the zero time if nobody said.
func (b By) When() time.Time { return b.Time.UTC() }

// check is the rule for every command's By.
func (b By) check() error {
	if year := b.When().Year(); year < 1 || year > 9999 {
		return ErrTime // as text, such a year cannot be written
	}
	if b.Employee == "" {
		return nil
	}
	return checkName(b.Employee)
}

// kept is what the event keeps of its command's By.
func (b By) kept() By { return By{Employee: b.Employee, Time: b.When()} }

// MaxNameBytes is the length of the longest name of an employee or a work item.
// With a life-cycle step behind it, such a name is still a key that a read
// model takes.
const MaxNameBytes = 60

// checkName accepts what prints, in the one spelling that Unicode calls NFC:
// two names that look alike on a screen are then one name in the books.
func checkName(name string) error {
	if name == "" || len(name) > MaxNameBytes || !norm.NFC.IsNormalString(name) {
		return ErrName
	}
	for _, r := range name {
		if !unicode.IsPrint(r) || r == unicode.ReplacementChar {
			return ErrName
		}
	}
	return nil
}
