package jetstream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"

	"github.com/annals-go/annals/store"
	"github.com/annals-go/annals/store/privacy"
)

// KeysConfig says which key store to open, and how to create it if it is not there.
type KeysConfig struct {
	// Conn is the connection to the server or cluster. Required. It is the caller's.
	Conn *nats.Conn
	// Namespace is that of the log whose personal data the keys are for. Required.
	Namespace string
	// Create makes the key store if it is not there. Default false: that it is not
	// there is an error, for a node that made a new one beside a log that has another's
	// data would find all of these lost.
	Create bool
	// Fill is for whoever restores the keys: a key store that is not there is made as one
	// that is being filled, and one that is being filled is opened. Nobody else opens it
	// before [Keys.Finish]: a node would make new keys beside the missing ones. One that is
	// ready is opened as it is. Default false.
	Fill bool
	// Realm is what the key space must be, and is called if it is created: that of a
	// backup, for a restore. Default: whatever it is, and a new one.
	Realm uuid.UUID
	// Replicas is the number of servers that hold each record, 1 to 5, as the log has.
	// Default 1. A key store with fewer refuses to open, one with more does not.
	Replicas int
	// InMemory keeps everything in the server's memory only, as the log is. Default
	// false: files.
	InMemory bool
	// Barrier is the log's: it returns when everything that the server had acknowledged
	// before the call has reached the disk. Default nil.
	Barrier func(context.Context) error
	// Changing is called before each request that may change something of the key store, so
	// that as long as it was not called nothing of it has changed. It may be called from many
	// goroutines. Default: nobody.
	Changing func()
	// Logger receives what an operator may act on. Default [slog.Default].
	Logger *slog.Logger
}

func (c KeysConfig) withDefaults() KeysConfig {
	if c.Replicas == 0 {
		c.Replicas = 1
	}
	if c.Changing == nil {
		c.Changing = func() {}
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	return c
}

func (c KeysConfig) validate() error {
	if c.Conn == nil {
		return &store.InvalidError{What: "connection", Reason: "required"}
	}
	if err := store.ValidateName("namespace", c.Namespace); err != nil {
		return err
	}
	if c.Replicas < 1 || c.Replicas > maxReplicas {
		return outOfRange("number of replicas", c.Replicas, maxReplicas)
	}
	return nil
}

// Keys is a [privacy.Keys] in JetStream: one plain stream, of which there is another
// after each rotation. It has no goroutine and nothing to close. All methods may be
// called from many goroutines. A call that finds the keys being moved to the next
// stream waits for that, 10 seconds at most.
type Keys struct {
	cfg   KeysConfig
	realm uuid.UUID

	mu    sync.Mutex
	epoch *keysEpoch // that is used now; nil if it must be looked for
	last  *keysEpoch // that was used last

	// Tests change these: how a record is published, how old a rotation's last sign of
	// life must be, and what happens before each of its steps.
	publish  func(context.Context, *nats.Msg) (*nats.Msg, error)
	leaseAge time.Duration
	before   func(step string) error
}

var _ privacy.Keys = (*Keys)(nil)

// keysPatience is how long a call tries while nobody answers, or while the keys are
// being moved.
const keysPatience = readPatience

// OpenKeys opens the key store of a namespace. The error matches [store.ErrNotFound] if
// it is not there, unless it is to be created, [ErrKeysUnfinished] if it is being filled,
// [store.ErrInvalid] if it is kept otherwise than it must be, or of another realm, and
// [store.ErrUnavailable] if the server could not be asked for 30 seconds.
func OpenKeys(ctx context.Context, cfg KeysConfig) (*Keys, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, fmt.Errorf("open keys: %w", err)
	}
	k := &Keys{cfg: cfg, realm: cfg.Realm, leaseAge: rotationAge, publish: cfg.Conn.RequestMsgWithContext, before: func(string) error { return nil }}
	if err := k.open(ctx); err != nil {
		return nil, fmt.Errorf("open keys of %s: %w", cfg.Namespace, err)
	}
	return k, nil
}

func (k *Keys) open(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, openPatience)
	defer cancel()
	for try := 0; ; try++ {
		once, stop := context.WithTimeout(ctx, requestWait)
		_, err := k.current(once)
		stop()
		if errors.Is(err, errNoKeys) {
			if !k.cfg.Create && !k.cfg.Fill {
				return fmt.Errorf("%w: %w", store.ErrNotFound, err)
			}
			err = k.create(ctx)
			if err == nil {
				err = errNoKeys // until it is seen
			}
		} else if err == nil || final(err) || errors.Is(err, ErrKeysUnfinished) {
			return err
		}
		if pause(ctx, try) != nil {
			return unavailable(err)
		}
	}
}

// Realm implements [privacy.Keys].
func (k *Keys) Realm() uuid.UUID { return k.realm }

// Load implements [privacy.Keys].
func (k *Keys) Load(ctx context.Context, subject string) (r privacy.Record, err error) {
	token, err := store.EncodeToken(subject)
	if err != nil {
		return r, fmt.Errorf("load key: %w", err)
	}
	err = k.firmly(ctx, func(ctx context.Context, e *keysEpoch) error {
		r, err = k.load(ctx, e, subject, token)
		return err
	})
	if err != nil {
		return privacy.Record{}, fmt.Errorf("load key: %w", err)
	}
	return r, nil
}

func (k *Keys) load(ctx context.Context, e *keysEpoch, subject, token string) (privacy.Record, error) {
	m, err := k.fetch(ctx, e, lastOn(e.records+token))
	if errors.Is(err, errNone) {
		m, err = k.confirmNone(ctx, e, e.records+token)
	}
	if err != nil {
		return privacy.Record{}, err
	}
	if m == nil {
		return privacy.Record{Subject: subject}, nil
	}
	if err := e.durable.wait(ctx, m.sequence); err != nil {
		return privacy.Record{}, err
	}
	return e.decode(m)
}

// confirmNone makes sure that a record that the server does not deliver is not there:
// it says the same of one that it cannot read. One may have come meanwhile.
func (k *Keys) confirmNone(ctx context.Context, e *keysEpoch, subject string) (*message, error) {
	info, err := k.info(ctx, e, fmt.Appendf(nil, `{"subjects_filter":%q}`, subject))
	if err != nil || info.State.Subjects[subject] == 0 {
		return nil, err
	}
	m, err := k.fetch(ctx, e, lastOn(subject))
	if errors.Is(err, errNone) {
		err = fmt.Errorf("%w: the server counts records of a data subject and delivers none", store.ErrDamaged)
	}
	return m, err
}

// decode reads the record in a message.
func (e *keysEpoch) decode(m *message) (privacy.Record, error) {
	var r privacy.Record
	subject, err := e.subjectIn(m.subject)
	if err == nil {
		err = json.Unmarshal(m.data, &r)
	}
	if err == nil && r.Subject != subject {
		err = errors.New("it is of another data subject")
	}
	if err == nil {
		err = r.Validate()
	}
	if err != nil {
		return privacy.Record{}, fmt.Errorf("%w: key record at sequence %d of stream %s: %w", store.ErrDamaged, m.sequence, e.stream.name, err)
	}
	r.Revision = m.sequence
	return r, nil
}
