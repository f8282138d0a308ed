package gateway_test

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/annals-go/annals/gateway"
)

func openPassage(t *testing.T, nc *nats.Conn) gateway.Passage {
	t.Helper()
	p, err := gateway.NewPassage(nc)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

// Of every message it is told once whether somebody was there, however many
// are on their way. An answer to the passage itself is none to the question.
func TestThePassageTellsWhatArrived(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	var got atomic.Int64
	server := connect(t, s)
	_, err := server.Subscribe("there", func(m *nats.Msg) {
		got.Add(1)
		_ = m.Respond([]byte("thanks"))
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Flush(); err != nil {
		t.Fatal(err)
	}
	p := openPassage(t, connect(t, s))
	const senders, each = 8, 1000
	var arrived, returned, wrong atomic.Int64
	var sends sync.WaitGroup
	for range senders {
		sends.Go(func() {
			for i := range each {
				there := i%3 != 0
				var told atomic.Bool
				err := p.Send(map[bool]string{true: "there", false: "nowhere"}[there], func(ok bool) {
					if told.Swap(true) || ok != there {
						wrong.Add(1)
					}
					if ok {
						arrived.Add(1)
					} else {
						returned.Add(1)
					}
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	sends.Wait()
	const missing = senders * (each/3 + 1)
	eventually(t, "all are told", func() bool { return arrived.Load()+returned.Load() == senders*each })
	if arrived.Load() != senders*each-missing || returned.Load() != missing || wrong.Load() != 0 {
		t.Errorf("%d arrived, %d returned, %d wrong", arrived.Load(), returned.Load(), wrong.Load())
	}
	eventually(t, "they did arrive", func() bool { return got.Load() == arrived.Load() })
	eventually(t, "nothing is under way", func() bool { return !p.Tend(time.Now()) })
}

// A mark that is lost, as with a connection, is replaced.
func TestALostMarkIsReplaced(t *testing.T) {
	t.Parallel()
	p := openPassage(t, connect(t, startServer(t)))
	p.LoseMark()
	fared := make(chan bool, 2)
	for _, subject := range []string{"$SYS.nothing", "nowhere"} {
		if err := p.Send(subject, func(ok bool) { fared <- ok }); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		if receive(t, fared) {
			t.Error("a message to nobody arrived")
		}
	}
	if !p.Tend(time.Now()) {
		t.Error("nothing is under way, though nothing was confirmed")
	}
	later := time.Now().Add(time.Minute)
	eventually(t, "a new mark arrives", func() bool { return !p.Tend(later) })
}

// The passage outlives a connection that breaks.
func TestThePassageReconnects(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	nc := connect(t, s, nats.ReconnectWait(time.Millisecond), nats.ReconnectJitter(0, 0))
	p := openPassage(t, nc)
	told := make(chan bool, 100)
	for i := range 100 {
		if i%10 == 0 {
			if err := nc.ForceReconnect(); err != nil {
				t.Fatal(err)
			}
		}
		if err := p.Send("nowhere", func(ok bool) { told <- ok }); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "all are told", func() bool {
		p.Tend(time.Now())
		return len(told) == 100
	})
}
