package main

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"hash"
	"time"

	natsjs "github.com/nats-io/nats.go/jetstream"

	"github.com/annals-go/annals/actor"
	"github.com/annals-go/annals/store"
)

// view is what the log looks like, and how fast that is to be seen.
type view struct {
	stream, all  string   // sums of what was read
	states       []string // at some versions, as JSON
	activation   float64  // ms, in the middle
	replay, feed int      // events and commits a second
}

// differences counts what reads otherwise in two views.
func (v *view) differences(w *view) (n int) {
	for i := range v.states {
		if v.states[i] != w.states[i] {
			n++
		}
	}
	if v.stream != w.stream {
		n++
	}
	if v.all != w.all {
		n++
	}
	return n
}

func (t *trial) look(ctx context.Context) (*view, error) {
	v := &view{}
	for _, step := range []func(context.Context, *view) error{t.activations, t.replay, t.readStream, t.follow, t.states} {
		if err := step(ctx, v); err != nil {
			return nil, err
		}
	}
	return v, nil
}

// activations activates the long stream in systems that have just begun.
func (t *trial) activations(ctx context.Context, v *view) error {
	const rounds = 51
	var took []time.Duration
	for range rounds {
		system, err := t.system(true)
		if err != nil {
			return err
		}
		began := time.Now()
		if _, err := system.Read(ctx, long, false); err != nil {
			return err
		}
		took = append(took, time.Since(began))
	}
	v.activation = median(took)
	return nil
}

// replay folds the long stream from its first event.
func (t *trial) replay(ctx context.Context, v *view) error {
	system, err := t.system(false)
	if err != nil {
		return err
	}
	began := time.Now()
	if _, err := system.State(ctx, long, actor.At{}); err != nil {
		return err
	}
	v.replay = int(float64(t.out.Events) / time.Since(began).Seconds())
	return nil
}

// states notes the state at three versions: the first tenth, the middle, the end.
func (t *trial) states(ctx context.Context, v *view) error {
	system, err := t.system(true)
	if err != nil {
		return err
	}
	for _, version := range []uint64{t.out.Events / 10, t.out.Events / 2, t.out.Events} {
		state, err := system.State(ctx, long, actor.At{Version: version})
		if err != nil {
			return err
		}
		data, err := json.Marshal(state)
		if err != nil {
			return err
		}
		v.states = append(v.states, string(data))
	}
	return nil
}

func (t *trial) readStream(ctx context.Context, v *view) error {
	sum := sha256.New()
	for c, err := range t.log.Read(ctx, long, store.Head{}) {
		if err != nil {
			return err
		}
		add(sum, c)
	}
	v.stream = hex.EncodeToString(sum.Sum(nil))
	return nil
}

// follow reads the whole log as a view that is built again does.
func (t *trial) follow(ctx context.Context, v *view) error {
	feed, err := t.log.Follow(ctx, store.Follow{})
	if err != nil {
		return err
	}
	defer feed.Close()
	sum, began := sha256.New(), time.Now()
	want := t.out.Events + t.out.Others
	for got := uint64(0); got < want; {
		commits, err := feed.Next(ctx, 500)
		if err != nil {
			return err
		}
		for _, c := range commits {
			add(sum, c)
		}
		got += uint64(len(commits))
	}
	v.all, v.feed = hex.EncodeToString(sum.Sum(nil)), int(float64(want)/time.Since(began).Seconds())
	return nil
}

func add(sum hash.Hash, c *store.Commit) {
	var b [24]byte
	binary.LittleEndian.PutUint64(b[:], c.Sequence)
	binary.LittleEndian.PutUint64(b[8:], c.Local)
	binary.LittleEndian.PutUint64(b[16:], c.After.Version)
	sum.Write(b[:])
	sum.Write(c.Hash[:])
}

// raw reads the long stream's messages with a bare consumer, and decodes nothing.
func (t *trial) raw(ctx context.Context) (int, error) {
	js, err := natsjs.New(t.conn)
	if err != nil {
		return 0, err
	}
	consumer, err := js.CreateConsumer(ctx, "ANNALS_bank_events", natsjs.ConsumerConfig{
		FilterSubject: "bank.evt.*." + long.Type + "." + long.ID, AckPolicy: natsjs.AckNonePolicy, MemoryStorage: true,
	})
	if err != nil {
		return 0, err
	}
	began, got := time.Now(), 0
	for want := int(t.out.Events); got < want; {
		batch, err := consumer.Fetch(min(5000, want-got), natsjs.FetchMaxWait(10*time.Second))
		if err != nil {
			return 0, err
		}
		for range batch.Messages() {
			got++
		}
		if err := batch.Error(); err != nil {
			return 0, err
		}
	}
	return int(float64(got) / time.Since(began).Seconds()), nil
}
