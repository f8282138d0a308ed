package jetstream

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"time"

	"github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"

	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/segment"
)

// fetchWait is how long fetching one object may take, which may be some ten MiB on
// a slow line.
const fetchWait = 2 * time.Minute

// Open implements [segment.Vault].
func (v *vault) Open(ctx context.Context, name string) (segment.File, error) {
	if err := segment.ValidateName(name); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, fetchWait)
	defer cancel()
	for try := 0; ; try++ {
		file, err := v.fetch(ctx, name)
		if err == nil {
			return file, nil
		}
		// It may have been replaced meanwhile, and a deposed leader may not have it.
		if errors.Is(err, errIncomplete) && try < aheadTries {
			err = pause(ctx, try+3)
		}
		if err != nil {
			return nil, v.failed("open", name, err)
		}
	}
}

var errIncomplete = fmt.Errorf("%w: parts of it are not there", store.ErrDamaged)

// fetch fetches an object into a temporary file, once.
func (v *vault) fetch(ctx context.Context, name string) (segment.File, error) {
	info, err := v.info(ctx, name)
	if err != nil {
		return nil, err
	}
	file, err := os.CreateTemp("", "annals-object-*")
	if err != nil {
		return nil, err
	}
	// Where the system lets an open file go without its name, a process that is
	// killed leaves none behind.
	f := &fetched{File: file, size: int64(info.Size), named: os.Remove(file.Name()) != nil}
	if err := v.copy(ctx, file, info); err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

// fetched is an object in a temporary file.
type fetched struct {
	*os.File
	size  int64
	named bool // still to be removed
}

// Size implements [segment.File].
func (f *fetched) Size() int64 { return f.size }

// Close implements [segment.File]. It removes the file.
func (f *fetched) Close() error {
	err := f.File.Close()
	if f.named {
		err = errors.Join(err, os.Remove(f.Name()))
	}
	return err
}

// chunks reads the parts of an object in their order.
type chunks struct {
	vault   *vault
	subject string
	next    uint64 // from which sequence on the next part is looked for
	left    uint64 // bytes
	sum     hash.Hash
	to      io.Writer
	failure error // of what was taken
}

// copy writes the object to a file: in batches from any replica, and from the
// leader what the replica does not have. That it is the object the check sum says.
func (v *vault) copy(ctx context.Context, to io.Writer, info *natsjs.ObjectInfo) error {
	c := &chunks{vault: v, subject: v.parts(info.NUID), next: 1, left: info.Size, sum: sha256.New(), to: to}
	for c.left > 0 {
		before := c.left
		if c.batch(ctx); c.failure == nil && c.left == before {
			c.step(ctx)
		}
		if c.failure != nil {
			return c.failure
		}
	}
	want, err := natsjs.DecodeObjectDigest(info.Digest)
	if err != nil || !bytes.Equal(want, c.sum.Sum(nil)) {
		return fmt.Errorf("%w: it has another check sum", store.ErrDamaged)
	}
	return nil
}

// batch takes what one batch from any replica brings, which may be nothing.
func (c *chunks) batch(ctx context.Context) {
	conn := c.vault.conn
	answers, err := conn.SubscribeSync(conn.NewInbox())
	if err != nil {
		return
	}
	defer func() { _ = answers.Unsubscribe() }()
	if conn.PublishRequest(c.vault.stream.directGet, answers.Subject, batchOn(c.subject, c.next)) != nil {
		return
	}
	for c.left > 0 && c.failure == nil {
		answer, err := nextWithin(ctx, requestWait, answers)
		if err != nil {
			return
		}
		m, err := readDirect(answer, false)
		if err != nil {
			return // the end of the batch, too
		}
		c.take(m)
	}
}

func nextWithin(ctx context.Context, most time.Duration, answers *nats.Subscription) (*nats.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	return answers.NextMsgWithContext(ctx)
}

// step takes the next part, as the leader has it.
func (c *chunks) step(ctx context.Context) {
	m, err := c.vault.ask(ctx, nextOn(c.subject, c.next))
	switch {
	case err == nil:
		c.take(m)
	case errors.Is(err, errNone):
		c.failure = errIncomplete
	default:
		c.failure = err
	}
}

func (c *chunks) take(m *message) {
	if m.sequence < c.next || uint64(len(m.data)) > c.left {
		c.failure = fmt.Errorf("%w: it is longer than it should be", store.ErrDamaged)
		return
	}
	c.next, c.left = m.sequence+1, c.left-uint64(len(m.data))
	c.sum.Write(m.data)
	_, c.failure = c.to.Write(m.data)
}
