package gateway

import (
	"fmt"
	"strings"

	"github.com/nats-io/nats.go"
)

// A server publishes what a stream stores once more if the stream's settings say so, under any subject: so
// whoever may make or change a stream could ask under anybody's name, and permissions do not see it. What a
// server publishes so, or hands on from a stream, has headers that its maker cannot leave out. No asker has them.

// RepublishedError says that a request is none: a server took it out of a stream. It matches [ErrForbidden].
type RepublishedError struct {
	// Header is what shows it; empty if what was said behind the headers does.
	Header string
}

// Error implements error.
func (e *RepublishedError) Error() string {
	if e.Header == "" {
		return ErrForbidden.Error() + ": bytes beside the headers: no client library writes them, and they may hide that a stream republished this"
	}
	return fmt.Sprintf("%v: header %s: a stream republished this, and nobody knows who asks", ErrForbidden, e.Header)
}

// Unwrap makes it match [ErrForbidden].
func (e *RepublishedError) Unwrap() error { return ErrForbidden }

// serverHeaders are what a server adds to what it takes out of a stream.
var serverHeaders = []string{"Nats-Stream", "Nats-Subject", "Nats-Sequence", "Nats-Last-Sequence", "Nats-Time-Stamp", "Nats-Stream-Source"}

// maxHeaders is how many headers [Config.MaxHeaders] may allow. A line may lack two bytes, the space and the
// carriage return, and what a server adds has more than 110: of more lines the one could make up for the other.
const maxHeaders = 48

// checkOrigin refuses what a server took out of a stream. Names are compared without regard to case, as ours are.
func checkOrigin(m *nats.Msg) error {
	for name := range m.Header {
		if len(name) < len("Nats-Stream") || !strings.EqualFold(name[:5], "Nats-") {
			continue
		}
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
