package jetstream

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"os"
	"time"

	"github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"

	"github.com/annals-go/annals/store/segment"
)

const (
	// draftBuffer is how much of an object is collected into one message: what
	// objects are kept in by default.
	draftBuffer = 128 << 10
	// draftAhead is how many messages of a draft are on their way at a time, and
	// partWait how long the answer to one is waited for.
	draftAhead = 64
	partWait   = 10 * time.Second
)

// objectDraft is an object that is being sent, while it is written.
type objectDraft struct {
	vault *vault
	info  natsjs.ObjectInfo
	sum   hash.Hash
	part  []byte // not yet sent

	answers *nats.Subscription
	open    int                       // parts that are not answered
	next    func() (*nats.Msg, error) // the next answer
	name    func() error              // gives the object its name
	drop    func()                    // takes the parts away, also when the context has ended
	failure error
	done    bool
}

// Create implements [segment.Vault].
func (v *vault) Create(ctx context.Context, name string) (segment.Draft, error) {
	if err := segment.ValidateName(name); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	answers, err := v.conn.SubscribeSync(v.conn.NewInbox())
	if err != nil {
		return nil, v.failed("create", name, err)
	}
	d := &objectDraft{vault: v, sum: sha256.New(), part: make([]byte, 0, draftBuffer), answers: answers}
	d.info = natsjs.ObjectInfo{Bucket: v.bucket, NUID: rand.Text()}
	d.info.Name, d.info.Opts = name, &natsjs.ObjectMetaOptions{ChunkSize: draftBuffer}
	d.next = func() (*nats.Msg, error) { return nextWithin(ctx, partWait, answers) }
	d.name = func() error { return v.replace(ctx, &d.info) }
	d.drop = func() { d.discard(context.WithoutCancel(ctx)) }
	return d, nil
}

// Write implements [segment.Draft].
func (d *objectDraft) Write(b []byte) (int, error) {
	if d.done {
		return 0, os.ErrClosed
	}
	for written := 0; ; {
		n := min(len(b)-written, draftBuffer-len(d.part))
		d.part = append(d.part, b[written:written+n]...)
		if written += n; written == len(b) {
			return written, nil
		}
		if err := d.send(); err != nil {
			return written, d.vault.failed("write", d.info.Name, err)
		}
	}
}

// send sends what is collected. After one that failed nothing is sent.
func (d *objectDraft) send() error {
	for d.open >= draftAhead && d.failure == nil {
		d.failure = d.take()
	}
	if d.failure != nil || len(d.part) == 0 {
		return d.failure
	}
	d.sum.Write(d.part)
	d.info.Size, d.info.Chunks = d.info.Size+uint64(len(d.part)), d.info.Chunks+1
	d.open++
	d.failure = d.vault.conn.PublishRequest(d.vault.parts(d.info.NUID), d.answers.Subject, d.part)
	d.part = d.part[:0]
	return d.failure
}

// take takes the answer to one part. A part is not sent again, for it might be
// there twice.
func (d *objectDraft) take() error {
	m, err := d.next()
	if err != nil {
		return err
	}
	d.open--
	return readAnswer(m).reason
}

// Close implements [segment.Draft].
func (d *objectDraft) Close() error {
	if d.done {
		return os.ErrClosed
	}
	d.done = true
	defer func() { _ = d.answers.Unsubscribe() }()
	err := d.send()
	for d.open > 0 && err == nil {
		err = d.take()
	}
	if err != nil {
		d.drop()
		return d.vault.failed("write", d.info.Name, err)
	}
	d.info.Digest = natsjs.GetObjectDigestValue(d.sum)
	// The parts stay from here on: they may have their name whatever the answer is.
	if err := d.name(); err != nil {
		return d.vault.failed("write", d.info.Name, err)
	}
	return nil
}

// replace gives an object its name, and takes away what had it.
func (v *vault) replace(ctx context.Context, info *natsjs.ObjectInfo) error {
	old, err := v.info(ctx, info.Name)
	if err != nil && !errors.Is(err, natsjs.ErrObjectNotFound) {
		return fmt.Errorf("look what has its name: %w", err)
	}
	if err := v.name(ctx, info); err != nil {
		return err
	}
	if old != nil {
		return v.takeAway(ctx, old.NUID)
	}
	return nil
}

// Abort implements [segment.Draft].
func (d *objectDraft) Abort() error {
	if d.done {
		return nil
	}
	d.done = true
	d.drop()
	if err := d.answers.Unsubscribe(); err != nil {
		return d.vault.failed("abort", d.info.Name, err)
	}
	return nil
}

// discard takes the parts away, after those that are on their way have come.
func (d *objectDraft) discard(ctx context.Context) {
	for ; d.open > 0; d.open-- {
		if _, err := nextWithin(ctx, requestWait, d.answers); err != nil {
			break
		}
	}
	_ = d.vault.takeAway(ctx, d.info.NUID) // what is left is swept later
}
