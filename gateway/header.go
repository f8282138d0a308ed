package gateway

import (
	"slices"
	"strconv"
	"strings"
	"time"

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
	// HeaderSchema is the version of the command's schema that the body is written
	// in, in decimal. Without it the body is in the last one that the node knows.
	HeaderSchema = "Annals-Schema"
	// HeaderOnConflict is fail (default), retry or merge.
	HeaderOnConflict = "Annals-On-Conflict"
	// HeaderCorrelationID is common to all that one request set off.
	HeaderCorrelationID = "Annals-Correlation-Id"
	// HeaderCausationID is the id of what led to this command.
	HeaderCausationID = "Annals-Causation-Id"
	// HeaderCorrects names the event that the command makes good: its id, or
	// type/id/version.
	HeaderCorrects = "Annals-Corrects"
	// HeaderDeadline is how long the asker waits, such as 500ms, or until when,
	// in RFC 3339.
	HeaderDeadline = "Annals-Deadline"
	// HeaderConsistency, if it is linearizable, makes the answer to a get no older
	// than the question.
	HeaderConsistency = "Annals-Consistency"
	// HeaderHops is how many nodes passed the request on, in decimal.
	HeaderHops = "Annals-Hops"
	// HeaderReply is the asker's reply subject in a request that was passed on.
	// The message's own belongs to the node that passed it on, and serves only to
	// hear from the server that nobody was there.
	HeaderReply = "Annals-Reply"
	// HeaderAuthorization is Bearer and a token that says who asks.
	HeaderAuthorization = "Annals-Authorization"
	// HeaderPrincipal and HeaderUntil say who asks, and until when that holds, in a
	// request that was passed on by a node, which knows. From anybody else they are
	// refused.
	HeaderPrincipal = "Annals-Principal"
	HeaderUntil     = "Annals-Until"
	// HeaderProof is by what a node knows the token of a watch that another passed on: see [Prover].
	HeaderProof = "Annals-Proof"
	// HeaderMinPosition is the position that a view must have reached.
	HeaderMinPosition = "Annals-Min-Position"
	// HeaderWaitViews names views, separated by commas, that the answer to a
	// command waits for: see [ViewWait].
	HeaderWaitViews = "Annals-Wait-Views"
	// HeaderWatch is the type of a message of a watch.
	HeaderWatch = "Annals-Watch"
	// HeaderError is the [Code] of an error answer.
	HeaderError = "Annals-Error"
	// HeaderContentType is application/json or application/msgpack, of the body
	// and of the answer that is wanted.
	HeaderContentType = "Content-Type"
	// HeaderTraceparent is the W3C trace context.
	HeaderTraceparent = "traceparent"
)

// headers is what a request says about itself, checked.
type headers struct {
	commandID     string
	correlationID string
	causationID   string
	corrects      string
	traceparent   string
	expected      uint64
	hasExpected   bool
	schema        int
	onConflict    actor.Policy
	minPosition   store.Position
	waitViews     []string
	linearizable  bool
	hops          int
	// deadline is zero when the asker named none.
	deadline time.Time
}

// headerReader reads one value into h.
type headerReader func(h *headers, value string, now time.Time) error

// commandHeaders, getHeaders and readHeaders are the headers that a command, a
// get and other reads may have, by their names in lower case; passedHeaders are
// those that a node may add when it passes one of them on. An Annals- header that is not here is
// refused and not ignored: a misspelt Annals-Expected-Version would otherwise
// be a condition that nobody checks.
var (
	commandHeaders = map[string]headerReader{
		"annals-command-id":       readCommandID,
		"annals-expected-version": readExpectedVersion,
		"annals-schema":           readSchema,
		"annals-on-conflict":      readOnConflict,
		"annals-correlation-id":   readCorrelationID,
		"annals-causation-id":     readCausationID,
		"annals-corrects":         readCorrects,
		"annals-deadline":         readDeadline,
		"annals-wait-views":       readWaitViews,
	}
	getHeaders = map[string]headerReader{
		"annals-consistency": readConsistency,
		"annals-deadline":    readDeadline,
	}
	readHeaders = map[string]headerReader{
		"annals-min-position": readMinPosition,
		"annals-deadline":     readDeadline,
	}
	passedHeaders = map[string]headerReader{
		"annals-hops":      readHops,
		"annals-reply":     readBefore,
		"annals-principal": readBefore,
		"annals-until":     readBefore,
		"annals-proof":     readBefore, // of a watch
	}
)

// readBefore is for what [Gateway.open] has looked at.
func readBefore(*headers, string, time.Time) error { return nil }

// parseHeaders reads the headers that readers know, and those of a request that
// another node passed on. Inbound Nats- headers,
// which are instructions to a server, and foreign ones are passed over and
// reach no publish of ours. The error matches [store.ErrInvalid].
func parseHeaders(raw nats.Header, readers map[string]headerReader, passed bool, now time.Time) (headers, error) {
	var h headers
	seen := make([]string, 0, 8)
	for name, values := range raw {
		lower := strings.ToLower(name)
		if lower == "annals-authorization" && !passed {
			continue // read before
		}
		read, known := readers[lower]
		if !known && passed {
			read, known = passedHeaders[lower]
		}
		if !known {
			if lower == "annals-principal" {
				return h, &store.InvalidError{What: "header", Value: name, Reason: "who asks is told by the subject or by a token, and never by a header"}
			}
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

// checkHeaderSize bounds what a request says about itself. Other headers than ours
// are ignored, but reading them costs too.
func (c Config) checkHeaderSize(raw nats.Header) error {
	count, size := 0, 0
	for name, values := range raw {
		for _, v := range values {
			count++
			size += len(name) + len(v)
		}
	}
	if count > c.MaxHeaders {
		return &store.InvalidError{What: "headers", Value: strconv.Itoa(count), Reason: "more than " + strconv.Itoa(c.MaxHeaders)}
	}
	if size > c.MaxHeaderBytes {
		return &store.InvalidError{What: "headers", Value: strconv.Itoa(size) + " bytes", Reason: "more than " + strconv.Itoa(c.MaxHeaderBytes)}
	}
	return nil
}
