package gateway

import (
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/store"
)

func readCommandID(h *headers, value string, _ time.Time) error {
	h.commandID = value
	return checkText(HeaderCommandID, value, store.MaxCommandIDBytes)
}

func readCorrelationID(h *headers, value string, _ time.Time) error {
	h.correlationID = value
	return checkText(HeaderCorrelationID, value, store.MaxMetadataBytes)
}

func readCausationID(h *headers, value string, _ time.Time) error {
	h.causationID = value
	return checkText(HeaderCausationID, value, store.MaxMetadataBytes)
}

func readCorrects(h *headers, value string, _ time.Time) error {
	corrected, err := store.ParseCorrected(value)
	h.corrects = corrected.String()
	return err
}

// checkText refuses an empty value too: a variable that was not set would
// otherwise silently turn exactly once into a new command each time.
func checkText(name, value string, limit int) error {
	switch {
	case value == "":
		return &store.InvalidError{What: "header " + name, Value: value, Reason: "it is empty"}
	case len(value) > limit:
		return &store.InvalidError{What: "header " + name, Value: value, Reason: "longer than " + strconv.Itoa(limit) + " bytes"}
	case !utf8.ValidString(value):
		return &store.InvalidError{What: "header " + name, Value: value, Reason: "not UTF-8"}
	case strings.ContainsFunc(value, func(r rune) bool { return !unicode.IsPrint(r) }):
		return &store.InvalidError{What: "header " + name, Value: value, Reason: "has a character that does not print"}
	}
	return nil
}

func readExpectedVersion(h *headers, value string, _ time.Time) (err error) {
	h.hasExpected = true
	h.expected, err = readNumber(HeaderExpectedVersion, value)
	return err
}

func readSchema(h *headers, value string, _ time.Time) (err error) {
	h.schema, err = ParseSchema(value)
	return err
}

// ParseSchema reads the value of [HeaderSchema]. The error is an
// [*store.InvalidError].
func ParseSchema(value string) (int, error) {
	n, err := strconv.ParseUint(value, 10, 15)
	if err != nil || n == 0 {
		return 0, &store.InvalidError{What: "header " + HeaderSchema, Value: value, Reason: "not a decimal number from 1 to 32767"}
	}
	return int(n), nil
}

func readMinPosition(h *headers, value string, _ time.Time) error {
	n, err := readNumber(HeaderMinPosition, value)
	h.minPosition = store.Position(n)
	return err
}

// consistencyLinearizable is the one value of [HeaderConsistency].
const consistencyLinearizable = "linearizable"

func readConsistency(h *headers, value string, _ time.Time) error {
	h.linearizable = value == consistencyLinearizable
	if !h.linearizable {
		return &store.InvalidError{What: "header " + HeaderConsistency, Value: value, Reason: "want " + consistencyLinearizable}
	}
	return nil
}

func readHops(h *headers, value string, _ time.Time) error {
	n, err := readNumber(HeaderHops, value)
	h.hops = int(min(n, maxHops))
	return err
}

func readNumber(name, value string) (uint64, error) {
	n, err := strconv.ParseUint(value, 10, 64)
	if err != nil {
		return 0, &store.InvalidError{What: "header " + name, Value: value, Reason: "not a decimal number below 2^64"}
	}
	return n, nil
}

func readOnConflict(h *headers, value string, _ time.Time) error {
	for policy, name := range policyNames {
		if value == name {
			h.onConflict = actor.Policy(policy)
			return nil
		}
	}
	return &store.InvalidError{What: "header " + HeaderOnConflict, Value: value, Reason: "want fail, retry or merge"}
}

// policyNames are the conflict policies on the wire.
var policyNames = [...]string{actor.Fail: "fail", actor.Retry: "retry", actor.Merge: "merge"}

func readDeadline(h *headers, value string, now time.Time) error {
	if d, err := time.ParseDuration(value); err == nil {
		h.deadline = now.Add(d)
		return nil
	}
	t, err := time.Parse(time.RFC3339, value)
	if err != nil {
		return &store.InvalidError{What: "header " + HeaderDeadline, Value: value, Reason: "want a duration such as 500ms, or a time in RFC 3339"}
	}
	h.deadline = t
	return nil
}

// validTraceparent knows version 00: "00-", 32 hex digits, "-", 16, "-", 2,
// in lower case; ids of zeros only mean none.
func validTraceparent(v string) bool {
	if len(v) != 55 || v[:3] != "00-" || v[35] != '-' || v[52] != '-' {
		return false
	}
	trace, span, flags := v[3:35], v[36:52], v[53:]
	return isLowerHex(trace) && isLowerHex(span) && isLowerHex(flags) &&
		strings.Trim(trace, "0") != "" && strings.Trim(span, "0") != ""
}

func isLowerHex(s string) bool {
	for _, c := range []byte(s) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}
