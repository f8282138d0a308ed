package gateway

import (
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/nats-io/nats.go"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/store"
)

// Headers of requests and answers. Names are matched without regard to case.
const (
	// HeaderCommandID makes a command happen at most once.
	HeaderCommandID = "Annals-Command-Id"
	// HeaderExpectedVersion is the version that the sender saw, in decimal; 0
	// means that there is no event yet.
	HeaderExpectedVersion = "Annals-Expected-Version"
	// HeaderOnConflict is fail (default), retry or merge.
	HeaderOnConflict = "Annals-On-Conflict"
	// HeaderCorrelationID is common to all that one request set off.
	HeaderCorrelationID = "Annals-Correlation-Id"
	// HeaderCausationID is the id of what led to this command.
	HeaderCausationID = "Annals-Causation-Id"
	// HeaderDeadline is how long the asker waits, such as 500ms, or until when,
	// in RFC 3339.
	HeaderDeadline = "Annals-Deadline"
	// HeaderMinPosition is the position that a view must have reached.
	HeaderMinPosition = "Annals-Min-Position"
	// HeaderError is the [Code] of an error answer.
	HeaderError = "Annals-Error"
	// HeaderContentType is application/json or application/msgpack, of the body
	// and of the answer that is wanted.
	HeaderContentType = "Content-Type"
	// HeaderTraceparent is the W3C trace context.
	HeaderTraceparent = "traceparent"
)

// Limits of what a request may say about itself. Other headers than ours are
// ignored, but reading them costs too.
const (
	maxHeaders     = 64
	maxHeaderBytes = 16 << 10
)

// headers is what a request says about itself, checked.
type headers struct {
	commandID     string
	correlationID string
	causationID   string
	traceparent   string
	expected      uint64
	hasExpected   bool
	onConflict    actor.Policy
	minPosition   store.Position
	// deadline is zero when the asker named none.
	deadline time.Time
}

// headerReader reads one value into h.
type headerReader func(h *headers, value string, now time.Time) error

// commandHeaders and readHeaders are the headers that a command and a query
// may have, by their names in lower case. An Annals- header that is not here is
// refused and not ignored: a misspelt Annals-Expected-Version would otherwise
// be a condition that nobody checks.
var (
	commandHeaders = map[string]headerReader{
		"annals-command-id":       readCommandID,
		"annals-expected-version": readExpectedVersion,
		"annals-on-conflict":      readOnConflict,
		"annals-correlation-id":   readCorrelationID,
		"annals-causation-id":     readCausationID,
		"annals-deadline":         readDeadline,
	}
	readHeaders = map[string]headerReader{
		"annals-min-position": readMinPosition,
		"annals-deadline":     readDeadline,
	}
)

// parseHeaders reads the headers that readers know. Inbound Nats- headers,
// which are instructions to a server, and foreign ones are passed over; no
// header reaches a publish of ours. The error matches [store.ErrInvalid].
func parseHeaders(raw nats.Header, readers map[string]headerReader, now time.Time) (headers, error) {
	var h headers
	if err := checkHeaderSize(raw); err != nil {
		return h, err
	}
	seen := make([]string, 0, 8)
	for name, values := range raw {
		lower := strings.ToLower(name)
		read, known := readers[lower]
		if !known {
			if strings.HasPrefix(lower, "annals-") {
				return h, &store.InvalidError{What: "header", Value: name, Reason: "no such header here"}
			}
			continue
		}
		if len(values) != 1 || slices.Contains(seen, lower) {
			return h, &store.InvalidError{What: "header", Value: name, Reason: "given more than once"}
		}
		seen = append(seen, lower)
		if err := read(&h, values[0], now); err != nil {
			return h, err
		}
	}
	if v := raw[HeaderTraceparent]; len(v) == 1 && validTraceparent(v[0]) {
		h.traceparent = v[0] // anything else is ignored: tracing must never be why a command fails
	}
	return h, nil
}

func checkHeaderSize(raw nats.Header) error {
	count, size := 0, 0
	for name, values := range raw {
		for _, v := range values {
			count++
			size += len(name) + len(v)
		}
	}
	if count > maxHeaders {
		return &store.InvalidError{What: "headers", Value: strconv.Itoa(count), Reason: "more than " + strconv.Itoa(maxHeaders)}
	}
	if size > maxHeaderBytes {
		return &store.InvalidError{What: "headers", Value: strconv.Itoa(size) + " bytes", Reason: "more than " + strconv.Itoa(maxHeaderBytes)}
	}
	return nil
}

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

func readMinPosition(h *headers, value string, _ time.Time) error {
	n, err := readNumber(HeaderMinPosition, value)
	h.minPosition = store.Position(n)
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
