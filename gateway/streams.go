package gateway

import (
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// streams hears the askers of a gateway's streams, on one subscription.
type streams struct {
	prefix string
	intake *nats.Subscription

	mu   sync.Mutex
	open map[string]*stream // by the last token of their control subjects
	last uint64
}

func newStreams(conn *nats.Conn) (*streams, error) {
	s := &streams{prefix: conn.NewInbox() + ".", open: map[string]*stream{}}
	intake, err := conn.Subscribe(s.prefix+"*", s.hear)
	s.intake = intake
	return s, err
}

// end ends hearing.
func (s *streams) end() { _ = s.intake.Unsubscribe() } // fails only if the connection is closed

// add gives a stream its control subject.
func (s *streams) add(it *stream) (token string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last++
	token = strconv.FormatUint(s.last, 36)
	it.control = s.prefix + token
	s.open[token] = it
	return token
}

func (s *streams) remove(token string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, token)
}

// watchStop is what an asker says that wants no more. Else it says the number of
// the last change that it has taken.
const watchStop = "stop"

// hear takes what askers say, and what a server says of one that is not there.
func (s *streams) hear(m *nats.Msg) {
	s.mu.Lock()
	it := s.open[strings.TrimPrefix(m.Subject, s.prefix)]
	s.mu.Unlock()
	if it == nil {
		return
	}
	gone := string(m.Data) == watchStop || len(m.Data) == 0 && m.Header.Get("Status") == noResponders
	number, err := strconv.ParseUint(string(m.Data), 10, 64)
	if gone || err == nil {
		it.ear.hear(number, gone)
	}
}

// ear is what was heard of an asker.
type ear struct {
	said chan struct{} // has something when there is something new

	mu     sync.Mutex
	number uint64 // of the last change that it has taken
	heard  time.Time
	gone   bool
}

func (e *ear) hear(number uint64, gone bool) {
	e.mu.Lock()
	e.number, e.gone, e.heard = max(e.number, number), e.gone || gone, time.Now()
	e.mu.Unlock()
	select {
	case e.said <- struct{}{}:
	default:
	}
}

func (e *ear) confirmed() uint64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.number
}

func (e *ear) isGone() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.gone
}

func (e *ear) lastHeard() time.Time {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.heard
}
