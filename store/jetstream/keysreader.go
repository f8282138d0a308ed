package jetstream

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"

	"github.com/annals-go/annals/store/privacy"
)

// keysBeat is how often the server says to a reader of keys that it is there.
const keysBeat = 2 * time.Second

// keysReader is what a pull consumer of an epoch delivers: every record from where it
// begins, in order, or an error. It belongs to one goroutine.
type keysReader struct {
	keys     *Keys
	epoch    *keysEpoch
	consumer string
	sub      *nats.Subscription
	messages chan *nats.Msg
	pulls    pulls

	deliveries uint64 // consumer's number of the last delivery
	sequence   uint64 // of the last record
	pending    uint64 // how many were to come after it
}

// newReader makes a consumer and returns its reader, which the caller closes.
func (k *Keys) newReader(ctx context.Context, e *keysEpoch, config natsjs.ConsumerConfig) (*keysReader, error) {
	r := &keysReader{keys: k, epoch: e, messages: make(chan *nats.Msg, feedRoom)}
	conn := k.cfg.Conn
	r.pulls = pulls{publish: conn.PublishRequest, inbox: conn.NewInbox(), group: newGroup(), beat: keysBeat}
	config.Description = "Annals: reads the keys of " + k.cfg.Namespace
	config.FilterSubject = e.allRecords()
	config.AckPolicy, config.MaxDeliver = natsjs.AckNonePolicy, -1
	config.InactiveThreshold, config.Replicas, config.MemoryStorage = anonymousIdle, 1, true
	config.PriorityPolicy, config.PriorityGroups = natsjs.PriorityPolicyOverflow, []string{r.pulls.group}
	js, err := natsjs.New(conn)
	if err != nil {
		return nil, err
	}
	if r.sub, err = conn.ChanSubscribe(r.pulls.inbox, r.messages); err != nil {
		return nil, err
	}
	made, err := js.CreateConsumer(ctx, e.stream.name, config)
	if err != nil {
		_ = r.sub.Unsubscribe()
		return nil, err
	}
	info := made.CachedInfo()
	r.consumer, r.pending = info.Name, info.NumPending
	r.pulls.subject, r.pulls.since = e.stream.pull+info.Name, time.Now()
	return r, nil
}

// close ends the reader. Its consumer is deleted; if that fails the server does it
// after five minutes.
func (r *keysReader) close() {
	_ = r.sub.Unsubscribe()
	ctx, cancel := context.WithTimeout(context.Background(), closeWait)
	defer cancel()
	if js, err := natsjs.New(r.keys.cfg.Conn); err == nil {
		_ = js.DeleteConsumer(ctx, r.epoch.stream.name, r.consumer)
	}
}

// next returns the next record, or nil when the server has said that it is there.
func (r *keysReader) next(ctx context.Context) (*privacy.Record, error) {
	if err := r.pulls.refill(minPull); err != nil {
		return nil, err
	}
	timer := time.NewTimer(r.pulls.patience())
	defer timer.Stop()
	select {
	case m := <-r.messages:
		return r.take(ctx, m)
	case <-timer.C:
		return nil, r.pulls.missed(errSilent)
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

func (r *keysReader) take(ctx context.Context, m *nats.Msg) (*privacy.Record, error) {
	if m.Reply == "" {
		err := r.pulls.status(m.Header)
		if err == nil && !r.pulls.heard {
			_ = pause(ctx, 4)
		}
		return nil, err
	}
	r.pulls.left--
	r.pulls.heard = true
	at, err := readDelivery(m.Reply)
	if err != nil {
		return nil, err
	}
	if r.deliveries++; at.number != r.deliveries {
		return nil, fmt.Errorf("delivery %d came where %d was due: a gap", at.number, r.deliveries)
	}
	r.sequence, r.pending = at.sequence, at.pending
	r.epoch.durable.see(at.sequence)
	if err := r.epoch.durable.wait(ctx, at.sequence); err != nil {
		return nil, err
	}
	record, err := r.epoch.decode(&message{subject: m.Subject, sequence: at.sequence, data: m.Data})
	return &record, err
}

// lastRecord returns the sequence of the record that was changed last, as the leader
// has it; that before the first if there is none.
func (k *Keys) lastRecord(ctx context.Context, e *keysEpoch) (uint64, error) {
	m, err := k.fetch(ctx, e, lastOn(e.allRecords()))
	if errors.Is(err, errNone) {
		return e.first() - 1, nil
	}
	if err != nil {
		return 0, err
	}
	return m.sequence, nil
}
