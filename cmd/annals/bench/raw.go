package bench

import (
	"bytes"
	"context"
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
	prefix  string // of the reply subjects
	payload []byte
	barrier func(context.Context) error // nil: none

	mu      sync.Mutex
	waiting map[string]chan<- []byte
}

const rawStream = "RAW"

func (l *lab) raw(ctx context.Context) (*raw, error) {
	js, err := natsjs.New(l.conn)
	if err != nil {
		return nil, err
	}
	config := natsjs.StreamConfig{Name: rawStream, Subjects: []string{"raw.*"}, AllowDirect: true, Replicas: l.replicas}
	if _, err = js.CreateStream(ctx, config); err != nil {
		return nil, err
	}
	leader, err := l.leader(ctx, rawStream)
	if err != nil {
		return nil, err
	}
	nc, err := l.connectTo(leader)
	if err != nil {
		return nil, err
	}
	r := &raw{conn: nc, prefix: nats.NewInbox() + ".", barrier: l.barrier(), waiting: make(map[string]chan<- []byte)}
	if r.payload, err = typicalCommit(); err != nil {
		return nil, err
	}
	_, err = nc.Subscribe(r.prefix+"*", r.acknowledged)
	return r, err
}

// typicalCommit is what the log publishes for one command of the benchmarks.
func typicalCommit() ([]byte, error) {
	encoded, err := Notebooks.Events.Encode(store.MsgPack, written(page))
	if err != nil {
		return nil, err
	}
	return store.EncodeCommit(store.MsgPack, &store.Commit{
		Stream: store.StreamID{Type: Notebooks.Type, ID: "notebook-100"}, ID: uuid.New(),
		After: store.Head{Version: 100, Sequence: 100_000}, Time: time.Now().UTC(),
		Commands: []store.Command{{ID: uuid.NewString(), Name: "write", BodyHash: 1 << 60}},
		Events:   []store.Event{encoded.Event(0)},
	})
}

func (r *raw) acknowledged(m *nats.Msg) {
	r.mu.Lock()
	answer := r.waiting[m.Subject]
	delete(r.waiting, m.Subject)
	r.mu.Unlock()
	if answer != nil {
		answer <- m.Data // has room for one
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

// notYet reports whether a refusal says to send the same once more: nobody was
// there, another write to the subject is settling, or a leader is elected. On
// replicated streams that happens to a writer that waits for each answer, too.
func notYet(data []byte) bool {
	if len(data) == 0 {
		return true
	}
	for _, code := range []string{"10008", "10009", "10063", "10164", "10167"} {
		if bytes.Contains(data, []byte(`"err_code":`+code)) {
			return true
		}
	}
	return false
}

const (
	publishLimit = 10 * time.Second
	publishPause = 10 * time.Millisecond
)

// writer publishes to one subject, each time expecting its own last message.
func (r *raw) writer(name string) func() error {
	reply, answers := r.prefix+name, make(chan []byte, 1)
	msg := &nats.Msg{Subject: "raw." + name, Reply: reply, Data: r.payload, Header: nats.Header{}}
	var last uint64
	return func() error {
		msg.Header["Nats-Expected-Last-Subject-Sequence"] = []string{strconv.FormatUint(last, 10)}
		for began := time.Now(); ; {
			data, err := r.publish(msg, answers)
			if err != nil {
				return err
			}
			if last = sequenceOf(data); last > 0 {
				break
			}
			if !notYet(data) || time.Since(began) > publishLimit {
				return fmt.Errorf("publish refused: %q", data)
			}
			time.Sleep(publishPause)
		}
		if r.barrier != nil {
			return r.barrier(context.Background())
		}
		return nil
	}
}

// publish sends a message and waits for the answer.
func (r *raw) publish(msg *nats.Msg, answers chan []byte) ([]byte, error) {
	r.mu.Lock()
	r.waiting[msg.Reply] = answers
	r.mu.Unlock()
	if err := r.conn.PublishMsg(msg); err != nil {
		return nil, err
	}
	select {
	case data := <-answers:
		return data, nil
	case <-time.After(publishLimit):
		return nil, fmt.Errorf("no acknowledgement in %v", publishLimit)
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
