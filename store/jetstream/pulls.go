package jetstream

import (
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
)

const (
	// minPull and maxPull bound how many commits one pull asks for.
	minPull = 500
	maxPull = 5000
	// pullBytes bounds what one pull brings.
	pullBytes = 16 << 20
	// pullExpires is how long the server holds a pull, heartbeat how often it
	// says to a reader that it still does.
	pullExpires = 30 * time.Second
	heartbeat   = 5 * time.Second
	// feedRoom is how many messages wait for the reader at most: one and a half
	// pulls, and what the server says about them.
	feedRoom = 2*maxPull + 256
	// pendingHeader says how many messages an ended pull did not bring.
	pendingHeader = "Nats-Pending-Messages"
)

// A pull that a new consumer does not hear is repeated: in a cluster it may take
// a moment until all servers know where the consumer is.
const (
	firstPatience  = 4 * time.Second
	firstSilence   = time.Second
	firstHeartbeat = 400 * time.Millisecond
)

// pulls keeps pulls under way, the next one asked for before the last one is
// used up, so that the server never waits for the reader's next question.
type pulls struct {
	publish func(subject, reply string, data []byte) error
	subject string // where to ask
	inbox   string // where the answers come
	group   string
	beat    time.Duration // how often the server says that it holds a pull
	left    int           // commits asked for that have not come
	heard   bool          // the consumer has answered
	since   time.Time
}

// refill asks for more when less than half of a pull is still to come.
func (p *pulls) refill(size int) error {
	beat := p.beat
	if !p.heard {
		size, beat = min(size, minPull), firstHeartbeat
	}
	if p.left > size/2 {
		return nil
	}
	request := fmt.Sprintf(`{"batch":%d,"max_bytes":%d,"expires":%d,"idle_heartbeat":%d,"group":%q}`,
		size, pullBytes, pullExpires.Nanoseconds(), beat.Nanoseconds(), p.group)
	if err := p.publish(p.subject, p.inbox, []byte(request)); err != nil {
		return err
	}
	p.left += size
	return nil
}

// patience is how long the server may be silent.
func (p *pulls) patience() time.Duration {
	if !p.heard {
		return firstSilence
	}
	return p.beat*2 + p.beat/2
}

// missed takes that the server was silent, or that nobody took the pull. An
// error ends the feed.
func (p *pulls) missed(cause error) error {
	if p.heard || time.Since(p.since) > firstPatience {
		return cause
	}
	p.left = 0
	return nil
}

// status takes what the server says about a pull. An error ends the feed.
func (p *pulls) status(h nats.Header) error {
	status, text := h.Get(statusHeader), h.Get(descriptionHeader)
	switch {
	case status == statusNoResponders:
		return p.missed(nats.ErrNoResponders)
	case status == statusHeartbeat:
		p.heard = true
		return nil
	case status == statusExpired, status == statusConflict && (text == conflictMaxBytes || text == conflictBatchOver):
		p.heard = true
		missing, err := strconv.Atoi(h.Get(pendingHeader))
		p.left -= missing
		return err
	}
	return fmt.Errorf("pull ended with status %s %s", status, text)
}
