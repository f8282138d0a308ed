package gateway

import (
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// traveller is told, once, how a message that was passed on fared. Its methods
// must not block.
type traveller interface {
	arrived()  // somebody got it
	returned() // certainly nobody did
}

// passage passes messages on to other nodes, and learns of each whether anybody
// was there. The asker's reply subject travels in a header, so that the answer
// goes straight back; the message's own reply subject is one of the passage,
// where a server says at once that nobody responds.
//
// That somebody was there is not said. But a server takes the messages of one
// connection in order: behind what is passed on the passage sends a mark to
// itself, and what has not come back before the mark does not come back.
type passage struct {
	conn   *nats.Conn
	prefix string
	intake *nats.Subscription

	mu       sync.Mutex
	under    []traveller // those on the way, by number; nil: it came back
	first    uint64      // the number of under[0]
	marked   uint64      // the number before which the mark under way was sent
	markedAt time.Time   // zero: no mark is under way
}

// remarkAfter is when a mark counts as lost, with the connection it was sent
// on.
const remarkAfter = time.Second

// markToken is the last token of the subject of marks; others are numbers.
const markToken = "mark"

func newPassage(conn *nats.Conn) (*passage, error) {
	p := &passage{conn: conn, prefix: conn.NewInbox() + "."}
	intake, err := conn.Subscribe(p.prefix+"*", p.hear)
	p.intake = intake
	return p, err
}

// close ends the passage; nothing may be under way.
func (p *passage) close() { _ = p.intake.Unsubscribe() } // fails only if the connection is closed

// send passes a message on. If it fails, nothing was sent and t is not told.
func (p *passage) send(m *nats.Msg, t traveller) error {
	// Under the lock, so that messages are sent in the order of their numbers.
	p.mu.Lock()
	defer p.mu.Unlock()
	m.Reply = p.prefix + strconv.FormatUint(p.first+uint64(len(p.under)), 10)
	if err := p.conn.PublishMsg(m); err != nil {
		return err
	}
	p.under = append(p.under, t)
	if p.markedAt.IsZero() {
		p.mark()
	}
	return nil
}

// mark sends a mark behind everything that is under way. If that fails, tend
// sends another. The caller holds the lock.
func (p *passage) mark() {
	p.marked, p.markedAt = p.first+uint64(len(p.under)), time.Now()
	_ = p.conn.Publish(p.prefix+markToken, []byte(strconv.FormatUint(p.marked, 10)))
}

// tend reports whether anything is under way, and replaces a mark that was
// lost.
func (p *passage) tend(now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.under) > 0 && now.Sub(p.markedAt) > remarkAfter {
		p.mark()
	}
	return len(p.under) > 0
}

// hear takes what comes back. An answer may come too, to a message whose asker
// wanted none; that it came says the same as the mark will.
func (p *passage) hear(m *nats.Msg) {
	token := strings.TrimPrefix(m.Subject, p.prefix)
	if token == markToken {
		for _, t := range p.passed(string(m.Data)) {
			if t != nil {
				t.arrived()
			}
		}
		return
	}
	if len(m.Data) > 0 || m.Header.Get("Status") != noResponders {
		return
	}
	if t := p.take(token); t != nil {
		t.returned()
	}
}

// passed removes those that were sent before a mark.
func (p *passage) passed(mark string) []traveller {
	number, err := strconv.ParseUint(mark, 10, 64)
	p.mu.Lock()
	defer p.mu.Unlock()
	if err != nil || number <= p.first || number > p.first+uint64(len(p.under)) {
		return nil // an older mark, which was thought to be lost
	}
	n := int(number - p.first)
	done := p.under[:n:n]
	p.under, p.first = p.under[n:], number
	if len(p.under) == 0 {
		p.under = nil
	}
	if number >= p.marked {
		p.markedAt = time.Time{}
		if len(p.under) > 0 {
			p.mark()
		}
	}
	return done
}

// take removes one that came back.
func (p *passage) take(token string) traveller {
	number, err := strconv.ParseUint(token, 10, 64)
	p.mu.Lock()
	defer p.mu.Unlock()
	if err != nil || number < p.first || number >= p.first+uint64(len(p.under)) {
		return nil
	}
	t := p.under[number-p.first]
	p.under[number-p.first] = nil
	return t
}
