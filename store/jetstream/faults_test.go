package jetstream

import (
	"errors"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/annals-go/annals/store/storetest"
)

type fault int

const (
	loseAck fault = iota
	dropPublish
	repeatPublish
	inProgress
	faults
)

// disturbed stands on the way of a log's publishes.
type disturbed struct {
	conn *nats.Conn

	mu        sync.Mutex
	left      [faults]int
	meanwhile func()
}

var _ storetest.Faults = (*disturbed)(nil)

// disturb puts a disturbance on the log's way, quiet until it is told otherwise.
func disturb(l *Log) *disturbed {
	d := &disturbed{conn: l.cfg.Conn}
	l.send = d.send
	l.ackWait = 20 * time.Millisecond
	return d
}

func newMsg(subject string, data []byte) *nats.Msg {
	return &nats.Msg{Subject: subject, Data: data, Header: nats.Header{}}
}

func (d *disturbed) send(m *nats.Msg) error {
	f, meanwhile, quiet := d.next()
	if quiet {
		return d.conn.PublishMsg(m)
	}
	if f == loseAck {
		// Asked for and thrown away, so that it is stored when the log looks.
		lost := newMsg(m.Subject, m.Data)
		lost.Header = m.Header
		// Again while nobody answers, as after an election.
		_, err := d.conn.RequestMsg(lost, 5*time.Second)
		for tries := 0; errors.Is(err, nats.ErrTimeout) && tries < 10; tries++ {
			_, err = d.conn.RequestMsg(lost, 5*time.Second)
		}
		if err != nil {
			return err
		}
	}
	if f == repeatPublish {
		if err := d.conn.PublishMsg(m); err != nil {
			return err
		}
	}
	if meanwhile != nil {
		meanwhile()
	}
	switch f {
	case repeatPublish:
		return d.conn.PublishMsg(m)
	case inProgress:
		return d.conn.Publish(m.Reply, []byte(`{"error":{"code":400,"err_code":10164,"description":"wrong last sequence"},"stream":"S","seq":0}`))
	}
	return nil
}

func (d *disturbed) next() (f fault, meanwhile func(), quiet bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for f := range faults {
		if d.left[f] > 0 {
			d.left[f]--
			meanwhile := d.meanwhile
			d.meanwhile = nil
			return f, meanwhile, false
		}
	}
	return 0, nil, true
}

func (d *disturbed) set(f fault, n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.left[f] = n
}

func (d *disturbed) LoseAck(n int)       { d.set(loseAck, n) }
func (d *disturbed) DropPublish(n int)   { d.set(dropPublish, n) }
func (d *disturbed) RepeatPublish(n int) { d.set(repeatPublish, n) }
func (d *disturbed) InProgress(n int) bool {
	d.set(inProgress, n)
	return true
}

func (d *disturbed) Meanwhile(f func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.meanwhile = f
}

func (d *disturbed) Heal() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.left, d.meanwhile = [faults]int{}, nil
}
