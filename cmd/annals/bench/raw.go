package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"

	"github.com/annals-go/annals/store"
)

// raw is a JetStream client written for speed, on a stream of its own beside
// the log's: it publishes by itself and reads the acknowledgements from one
// subscription.
type raw struct {
	conn    *nats.Conn
	stream  natsjs.Stream
	prefix  string // of the reply subjects
	payload []byte
	barrier func(context.Context) error // nil: none

	mu      sync.Mutex
	waiting map[string]chan<- uint64
}

const rawStream = "RAW"

func (l *lab) raw(ctx context.Context) (*raw, error) {
	nc, err := l.connect()
	if err != nil {
		return nil, err
	}
	js, err := natsjs.New(nc)
	if err != nil {
		return nil, err
	}
	stream, err := js.CreateStream(ctx, natsjs.StreamConfig{Name: rawStream, Subjects: []string{"raw.*"}, AllowDirect: true})
	if err != nil {
		return nil, err
	}
	r := &raw{conn: nc, stream: stream, prefix: nats.NewInbox() + ".", barrier: l.server.Barrier(), waiting: make(map[string]chan<- uint64)}
	if r.payload, err = typicalCommit(); err != nil {
		return nil, err
	}
	_, err = nc.Subscribe(r.prefix+"*", r.acknowledged)
	return r, err
}

// typicalCommit is what the log publishes for one command of the benchmarks.
func typicalCommit() ([]byte, error) {
	name, schema, data, err := Notebooks.Events.Encode(store.MsgPack, written(page))
	if err != nil {
		return nil, err
	}
	return store.EncodeCommit(store.MsgPack, &store.Commit{
		Stream: store.StreamID{Type: Notebooks.Type, ID: "notebook-100"}, ID: uuid.New(),
		After: store.Head{Version: 100, Sequence: 100_000}, Time: time.Now().UTC(),
		Commands: []store.Command{{ID: uuid.NewString(), Name: "write", BodyHash: 1 << 60}},
		Events:   []store.Event{{Type: name, Schema: schema, Data: data}},
	})
}

func (r *raw) acknowledged(m *nats.Msg) {
	r.mu.Lock()
	answer := r.waiting[m.Subject]
	delete(r.waiting, m.Subject)
	r.mu.Unlock()
	if answer != nil {
		answer <- sequenceOf(m.Data) // has room for one
	}
}

// sequenceOf reads the sequence of an acknowledgement; 0 means a refusal.
func sequenceOf(data []byte) uint64 {
	_, rest, found := bytes.Cut(data, []byte(`"seq":`))
	if !found || bytes.Contains(data, []byte(`"error"`)) {
		return 0
	}
	end := bytes.IndexFunc(rest, func(c rune) bool { return c < '0' || c > '9' })
	sequence, _ := strconv.ParseUint(string(rest[:max(end, 0)]), 10, 64)
	return sequence
}

// writer publishes to one subject, each time expecting its own last message.
func (r *raw) writer(name string) func() error {
	reply, answers := r.prefix+name, make(chan uint64, 1)
	msg := &nats.Msg{Subject: "raw." + name, Reply: reply, Data: r.payload, Header: nats.Header{}}
	var last uint64
	return func() error {
		r.mu.Lock()
		r.waiting[reply] = answers
		r.mu.Unlock()
		msg.Header["Nats-Expected-Last-Subject-Sequence"] = []string{strconv.FormatUint(last, 10)}
		if err := r.conn.PublishMsg(msg); err != nil {
			return err
		}
		select {
		case last = <-answers:
		case <-time.After(10 * time.Second):
			return errors.New("no acknowledgement in 10 s")
		}
		if last == 0 {
			return errors.New("publish refused")
		}
		if r.barrier != nil {
			return r.barrier(context.Background())
		}
		return nil
	}
}

// lastOf reads the last message of a subject from the leader.
func (r *raw) lastOf(name string) error {
	request := []byte(`{"last_by_subj":"raw.` + name + `"}`)
	reply, err := r.conn.Request("$JS.API.STREAM.MSG.GET."+rawStream, request, 5*time.Second)
	if err == nil && bytes.Contains(reply.Data, []byte(`"error"`)) {
		err = fmt.Errorf("get: %s", reply.Data)
	}
	return err
}

// replay reads n messages with a bare consumer.
func (r *raw) replay(ctx context.Context, stream natsjs.Stream, n int) (sample, error) {
	consumer, err := stream.CreateConsumer(ctx, natsjs.ConsumerConfig{AckPolicy: natsjs.AckNonePolicy, MemoryStorage: true})
	if err != nil {
		return sample{}, err
	}
	began, got := time.Now(), 0
	for got < n {
		batch, err := consumer.Fetch(min(5000, n-got), natsjs.FetchMaxWait(10*time.Second))
		if err != nil {
			return sample{}, err
		}
		for range batch.Messages() {
			got++
		}
		if err := batch.Error(); err != nil {
			return sample{}, err
		}
	}
	return rate(got, time.Since(began)), nil
}
