package gateway

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go"
)

// Servers send messages of their own under any subject, and permissions do not see it: so whoever may have them do
// that could ask under anybody's name. What a server sends shows that by something which its maker cannot leave out,
// and which no asker has:
//
//   - What a stream publishes once more, and what is got from a stream without a consumer, has headers.
//   - What a consumer delivers has the stored subject, which may be any, and no headers more than were stored. It is to
//     be acknowledged where its reply says: below $JS. The reply that it is answered at may be another, of a header.
//   - What a consumer says itself, that it waits or that there is nothing, has a status.
//   - What JetStream answers to a question goes where the question says, and begins with its type.
//
//   - What JetStream answers otherwise, to who acknowledges or stores, shows nothing; but it wants no answer and has no
//     headers. So who asks in a name, or passes a question on, wants one or gives a header of ours, such as a command id.

// RepublishedError says that a request is none: a server took it out of a stream, or says it itself. It matches
// [ErrForbidden].
type RepublishedError struct {
	// Header is what shows it; empty if it is no header.
	Header string
	answer bool // of JetStream
	stored bool // and delivered by a consumer
	silent bool // as answers of JetStream are
}

// Error implements error.
func (e *RepublishedError) Error() string {
	switch {
	case e.answer:
		return ErrForbidden.Error() + ": this is an answer of JetStream, and nobody knows who asks"
	case e.stored:
		return ErrForbidden.Error() + ": a consumer of a stream delivered this, and nobody knows who asks"
	case e.silent:
		return ErrForbidden.Error() + ": neither a reply subject nor " + HeaderCommandID + ": JetStream answers so to who stores, and nobody knows who asks"
	case e.Header == "":
		return ErrForbidden.Error() + ": bytes beside the headers: no client library writes them, and they may hide that a stream republished this"
	}
	return fmt.Sprintf("%v: header %s: a stream republished this, and nobody knows who asks", ErrForbidden, e.Header)
}

// Unwrap makes it match [ErrForbidden].
func (e *RepublishedError) Unwrap() error { return ErrForbidden }

// serverHeaders are what a server adds to what it takes out of a stream; Status is that of the first line.
var serverHeaders = []string{"Status", "Nats-Last-Consumer", "Nats-Last-Stream", "Nats-Consumer-Stalled", "Nats-Stream", "Nats-Subject", "Nats-Sequence", "Nats-Last-Sequence", "Nats-Time-Stamp", "Nats-Stream-Source"}

// jetStreamAnswer is what an answer of JetStream's begins with.
var jetStreamAnswer = []byte(`{"type":"io.nats.jetstream.api.`)

// maxHeaders is how many headers [Config.MaxHeaders] may allow. A line may lack two bytes, the space and the
// carriage return, and what a server adds has more than 110: of more lines the one could make up for the other.
const maxHeaders = 48

// checkOrigin refuses what a server took out of a stream or says itself. One that may be silent is nobody's in
// particular, or is answered. Names are compared without regard to case, as ours are.
func checkOrigin(m *nats.Msg, maySilent bool) error {
	switch {
	case strings.HasPrefix(m.Reply, "$"): // no asker's is
		return &RepublishedError{stored: true}
	case bytes.HasPrefix(m.Data, jetStreamAnswer):
		return &RepublishedError{answer: true}
	case !maySilent && !hasOurs(m.Header):
		return &RepublishedError{silent: true}
	}
	for name := range m.Header {
		for _, added := range serverHeaders {
			if strings.EqualFold(name, added) {
				return &RepublishedError{Header: added}
			}
		}
	}
	if m.Header != nil && headerBytes(m) > readBytes(m.Header) {
		return &RepublishedError{}
	}
	return nil
}

// hasOurs reports whether there is a header that servers never write.
func hasOurs(h nats.Header) bool {
	for name := range h {
		if strings.HasPrefix(name, ourHeaders) {
			return true
		}
	}
	return false
}

// ourHeaders are what the names of all our headers begin with.
const ourHeaders = "Annals-"

// headerBytes is how many bytes of headers came.
func headerBytes(m *nats.Msg) int { return m.Size() - len(m.Subject) - len(m.Reply) - len(m.Data) }

// readBytes is how many bytes headers have at most as client libraries write them: "Name: value", a line each.
// The reader stops at the first empty line and passes over lines without a name, while a server adds its own at
// the end: whoever leaves such a line hides them, but not that there are more bytes.
func readBytes(h nats.Header) int {
	size := len("NATS/1.0\r\n\r\n")
	_, status := h["Status"] // of the first line, which no asker writes
	for name, values := range h {
		for _, v := range values {
			size += len(v)
			if !status || name != "Status" && name != "Description" {
				size += len(name) + len(": \r\n")
			}
		}
	}
	return size
}
